"""Spreads listeners over the relay's processes. One process at a time serves a listener, so limits and order apply.

Each listener belongs to one of a fixed number of shards. Each process renews a row of its own, and claims, keeps or
releases shards until all processes have equal shares. All times are the server's, so clocks need not agree.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from zlib import crc32

from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database, Document, PyMongoError, UpdateOne
from triptych.kit.process.supervision import progress
from triptych.kit.upgrading.presence import Holdings
from triptych.webhooks.store.relays import SHARDS, WORKERS

log = get_logger(__name__)

HOLDINGS = "webhook shards"
"""Where processes note the ids under which they own shards and claim deliveries (`Presence.holdings`)."""
# How many times a lease is renewed within its duration.
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
        self._lease_end = {"$add": ["$$NOW", lease // timedelta(milliseconds=1)]}
        self._clock = clock
        self.id = str(uuid.uuid4())
        """The id of this process among relays."""
        self._owned: frozenset[int] = frozenset()
        self._valid_until = 0.0

    @property
    def owned(self) -> frozenset[int]:
        """The shards of this process; none after the lease was not renewed in time."""
        return self._owned if self._clock() < self._valid_until else frozenset()

    def owns(self, listener_id: str) -> bool:
        """Whether this process serves a listener."""
        return shard_of(listener_id, self._count) in self.owned

    async def succeed(self, holdings: Holdings) -> None:
        """Release the shards of killed predecessors, and note the id of this process. Raises the driver's errors."""
        await holdings.note(self.id)
        left_behind = list(holdings.left_behind)
        if left_behind:
            await self._shards.delete_many({"owner": {"$in": left_behind}})
            await self._workers.delete_many({"_id": {"$in": left_behind}})

    async def run(self) -> None:
        """Call `balance` regularly until cancelled."""
        while True:
            progress()
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS)
            try:
                await self.balance()
            except PyMongoError as error:
                log.warning("the leases of shards were not renewed", error=error)

    async def balance(self) -> None:
        """Renew the leases, and claim or release shards up to an equal share. Raises the driver's errors."""
        started_at = self._clock()
        renewal: list[Document] = [{"$set": {"until": self._lease_end}}]
        live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        await self._workers.update_one({"_id": self.id}, renewal, upsert=True)
        await self._shards.update_many({"owner": self.id}, renewal)
        workers = await self._workers.count_documents(live)
        await self._workers.delete_many({"$expr": {"$lte": ["$until", "$$NOW"]}})
        share = -(-self._count // max(1, workers))
        owners = {row["_id"]: row["owner"] async for row in self._shards.find(live)}
        mine = sorted(shard for shard, owner in owners.items() if owner == self.id and shard < self._count)
        if given_up := mine[share:]:
            await self._shards.delete_many({"_id": {"$in": given_up}, "owner": self.id})
        mine, free = mine[:share], sorted(set(range(self._count)) - owners.keys())
        while free and (lacking := share - len(mine)):
            mine += await self._claim(free[:lacking])
            free = free[lacking:]
        self._owned = frozenset(mine)
        self._valid_until = started_at + self._lease.total_seconds()

    async def release(self) -> None:
        """Release all shards, so that other processes can claim them at once. Raises the driver's errors."""
        self._owned = frozenset()
        await self._shards.delete_many({"owner": self.id})
        await self._workers.delete_one({"_id": self.id})

    async def _claim(self, shards: Sequence[int]) -> list[int]:
        """Claim shards without a live lease; those for which no other process was faster."""
        is_live = {"$gt": ["$until", "$$NOW"]}
        claim = {
            "owner": {"$cond": [is_live, "$owner", self.id]},
            "until": {"$cond": [is_live, "$until", self._lease_end]},
        }
        # In one request: deliveries wait for it when a relay starts.
        await self._shards.bulk_write(
            [UpdateOne({"_id": shard}, [{"$set": claim}], upsert=True) for shard in shards], ordered=False
        )
        found = self._shards.find({"_id": {"$in": list(shards)}, "owner": self.id}, {"_id": 1})
        return [row["_id"] async for row in found]
