"""Spreads listeners over the relay's processes, so that each is served by one: its limits and its order then hold.

Listeners belong to a fixed number of shards. Every process keeps a row of its own alive, and takes, keeps or gives up
shards until each process has its fair share. All times are the server's, so clocks need not agree.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from zlib import crc32

from triptych.kit.mongo.driver import Database, Document, PyMongoError

log = logging.getLogger(__name__)

WORKERS = "webhook_workers"
SHARDS = "webhook_shards"
# How many times a lease is renewed before it would end.
RENEWALS = 3


def shard_of(listener_id: str, shards: int) -> int:
    """The shard that a listener belongs to."""
    return crc32(listener_id.encode()) % shards


class Shards:
    """The shards of this process."""

    def __init__(
        self, database: Database, shards: int, lease: timedelta, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers = database[WORKERS]
        self._shards = database[SHARDS]
        self._count = shards
        self._lease = lease
        self._end = {"$add": ["$$NOW", lease // timedelta(milliseconds=1)]}
        self._clock = clock
        self._id = str(uuid.uuid4())
        self._owned: frozenset[int] = frozenset()
        self._valid_until = 0.0

    @property
    def owned(self) -> frozenset[int]:
        """What is ours now; nothing, once the lease could not be renewed in time."""
        return self._owned if self._clock() < self._valid_until else frozenset()

    def owns(self, listener_id: str) -> bool:
        """Whether this process serves a listener."""
        return shard_of(listener_id, self._count) in self.owned

    async def run(self) -> None:
        """Renew and balance until cancelled."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS)
            try:
                await self.balance()
            except PyMongoError as error:
                log.warning("shards not renewed: %s", error)

    async def balance(self) -> None:
        """Renew what is ours, and take or give up shards towards a fair share. Raises the driver's errors."""
        asked_at = self._clock()
        ends: list[Document] = [{"$set": {"until": self._end}}]
        live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        await self._workers.update_one({"_id": self._id}, ends, upsert=True)
        await self._shards.update_many({"owner": self._id}, ends)
        workers = await self._workers.count_documents(live)
        await self._workers.delete_many({"$expr": {"$lte": ["$until", "$$NOW"]}})
        share = -(-self._count // max(1, workers))
        taken = {row["_id"]: row["owner"] async for row in self._shards.find(live)}
        mine = sorted(shard for shard, owner in taken.items() if owner == self._id and shard < self._count)
        for shard in mine[share:]:
            await self._shards.delete_one({"_id": shard, "owner": self._id})
        mine = mine[:share]
        for shard in sorted(set(range(self._count)) - taken.keys()):
            if len(mine) < share and await self._take(shard):
                mine.append(shard)
        self._owned = frozenset(mine)
        self._valid_until = asked_at + self._lease.total_seconds()

    async def release(self) -> None:
        """Let the other processes have ours at once. Raises the driver's errors."""
        self._owned = frozenset()
        await self._shards.delete_many({"owner": self._id})
        await self._workers.delete_one({"_id": self._id})

    async def _take(self, shard: int) -> bool:
        """Take a shard that nobody holds; False if somebody was faster."""
        held = {"$gt": ["$until", "$$NOW"]}
        row = await self._shards.find_one_and_update(
            {"_id": shard},
            [
                {
                    "$set": {
                        "owner": {"$cond": [held, "$owner", self._id]},
                        "until": {"$cond": [held, "$until", self._end]},
                    }
                }
            ],
            upsert=True,
            return_document=True,
        )
        return row is not None and row["owner"] == self._id
