"""The floor of an HTTP read: one find and `orjson.dumps` behind the smallest HTTP server.

Usage: `python -m benchmarks.baselines.http_read_floor PORT GALLERY_ID`, with the settings of the product.
"""

import sys

import orjson
import uvloop

from benchmarks.baselines.floor_clients import open_database, tune_garbage_collector
from benchmarks.baselines.floor_http import serve

PAGE = 50


async def main(port: int, gallery_id: str) -> None:
    """Serve until ended."""
    async with open_database() as database:

        async def respond(_method: bytes, _path: bytes, _body: bytes) -> bytes:
            # A plain command, because the driver's cursor costs as much as the rest of a read.
            found = await database.command(
                {
                    "find": "item_views",
                    "filter": {"galleryId": gallery_id},
                    "sort": {"sortOrder": -1},
                    "limit": PAGE,
                    "projection": {"_id": 0, "item": 1},
                    "singleBatch": True,
                    "readConcern": {"level": "majority"},
                }
            )
            return orjson.dumps({"items": [document["item"] for document in found["cursor"]["firstBatch"]]})

        tune_garbage_collector()
        await serve(port, respond)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
