"""The floor of an HTTP read: one find and `orjson.dumps` behind the smallest HTTP server.

Usage: `python -m benchmarks.baselines.http_read_floor PORT GALLERY_ID`, with the settings of the product.
"""

import itertools
import sys

import orjson
import uvloop

from benchmarks.baselines.floor_http import serve
from benchmarks.baselines.floor_kafka import tune_garbage_collector
from benchmarks.baselines.floor_mongo import open_mongo

PAGE = 50


async def main(port: int, gallery_id: str) -> None:
    """Serve until ended."""
    # Two connections, because MongoDB handles the requests of one connection one after the other.
    async with open_mongo() as one, open_mongo() as other:
        connections = itertools.cycle((one, other))

        async def respond(_method: bytes, _path: bytes, _body: bytes) -> bytes:
            found = await next(connections).find(
                {
                    "find": "item_views",
                    "filter": {"galleryId": gallery_id},
                    "sort": {"sortOrder": -1},
                    "limit": PAGE,
                    "projection": {"_id": 0, "item": 1},
                    "singleBatch": True,
                }
            )
            return orjson.dumps({"items": [document["item"] for document in found]})

        tune_garbage_collector()
        await serve(port, respond)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
