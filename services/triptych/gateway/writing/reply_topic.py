"""Owns which reply topic this gateway uses: a lease in MongoDB, so that as few gateways as possible share one.

Gateways that share a topic are still right, because each ignores the replies and notices of the others. Only the cost
is higher. So nothing has to happen in time when a lease is lost, and two gateways that claim at once do no harm.
"""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge

from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database, DuplicateKeyError, PyMongoError
from triptych.kit.process.supervision import SUPERVISOR, progress

log = get_logger(__name__)

SHARED = Gauge(
    "triptych_gateway_reply_topic_shared", "1 if the gateway found no reply topic of its own, and shares one"
)

LEASES = "reply_topics"
LEASE_SECONDS = 30.0
RENEWAL_SECONDS = 10.0
LEAVING_SECONDS = 1.0
"""How long a gateway that stops tries to give its topic back. Otherwise the lease lasts for `LEASE_SECONDS`."""


class ReplyTopicLease:
    """The lease of one gateway. All times are the server's, so clocks need not agree."""

    def __init__(self, database: Database, count: int) -> None:
        """`count` is the number of reply topics of the installation."""
        self._leases = database[LEASES]
        self._count = count
        self._id = str(uuid.uuid4())
        self.number: int | None = None
        """The number of the topic that this gateway uses, once it has chosen one."""

    async def choose(self) -> int:
        """Claim the lowest topic that nobody uses; if there is none, share one of them. Raises the driver's errors."""
        live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        taken = {found["_id"] async for found in self._leases.find(live, {"_id": 1})}
        for number in range(self._count):
            if number not in taken and await self._claim(number):
                return self._use(number, is_shared=False)
        log.warning("all reply topics are in use, and this gateway shares one (TRIPTYCH_REPLY_TOPICS)")
        return self._use(random.randrange(self._count), is_shared=True)  # noqa: S311 - not a secret

    async def renew(self) -> None:
        """Renew the lease, or claim the same topic again if it is free. Raises the driver's errors."""
        if self.number is not None:
            self._use(self.number, is_shared=not await self._claim(self.number))

    async def run(self) -> None:
        """Renew regularly until cancelled."""
        while True:
            progress()
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                await self.renew()
            except PyMongoError as error:
                log.warning("the lease of a reply topic was not renewed", error=error)

    async def release(self) -> None:
        """Give the topic back. Raises the driver's errors."""
        await self._leases.delete_one({"_id": self.number, "owner": self._id})

    def _use(self, number: int, *, is_shared: bool) -> int:
        self.number = number
        SHARED.set(is_shared)
        return number

    async def _claim(self, number: int) -> bool:
        """Claim a topic that is free or this gateway's already; False if another gateway has it."""
        is_others = {"$and": [{"$ne": ["$owner", self._id]}, {"$gt": ["$until", "$$NOW"]}]}
        until = {"$add": ["$$NOW", int(LEASE_SECONDS * 1000)]}
        try:
            found = await self._leases.find_one_and_update(
                {"_id": number},
                [
                    {
                        "$set": {
                            # Both are computed from the document as it was.
                            "owner": {"$cond": [is_others, "$owner", self._id]},
                            "until": {"$cond": [is_others, "$until", until]},
                        }
                    }
                ],
                upsert=True,
                return_document=True,
            )
        except DuplicateKeyError:  # another gateway has inserted the document at the same time
            return False
        return found is not None and found["owner"] == self._id


@asynccontextmanager
async def leased_reply_topic(database: Database, count: int) -> AsyncIterator[int]:
    """The number of the reply topic that this gateway uses while the block runs. Raises the driver's errors."""
    lease = ReplyTopicLease(database, count)
    number = await lease.choose()
    try:
        async with SUPERVISOR.running("lease of a reply topic", lease.run):
            yield number
    finally:
        with contextlib.suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                await lease.release()
