"""The floor of an HTTP read: one find and `orjson.dumps` behind the same HTTP server, without product code.

Usage: `python -m benchmarks.baselines.http_read_floor PORT GALLERY_ID`, with the settings of the product.
"""

import os
import sys
from typing import Any

import orjson
import uvicorn
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern

PAGE = 50


def main(port: int, gallery_id: str) -> None:
    """Serve until ended."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["TRIPTYCH_MONGO_URI"])
    database = client.get_database(os.environ["TRIPTYCH_MONGO_DATABASE"], read_concern=ReadConcern("majority"))

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        found = database["item_views"].find({"galleryId": gallery_id}).sort([("sortOrder", -1)]).limit(PAGE)
        body = orjson.dumps({"items": [document["item"] for document in await found.to_list(None)]})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(app, port=port, loop="uvloop", lifespan="off", log_config=None, access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
