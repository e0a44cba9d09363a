"""Fences partitions: of two processes that both believe to own one, only the later can write.

Kafka hands a partition to a new consumer while the old one may be paused in the middle of a batch and wake up later.
Each owner therefore claims its partitions under a new epoch in MongoDB, and every transaction touches the claim: one
that began under an older epoch cannot commit.
"""

import uuid
from collections.abc import Iterable

from services.kit.failures import OwnershipLost
from services.kit.mongo import ASCENDING, Database, IndexModel, Session

COLLECTION = "partition_owners"
INDEXES = {COLLECTION: [IndexModel([("scope", ASCENDING), ("partition", ASCENDING)], unique=True)]}


class Ownership:
    """The partitions of one topic that this consumer owns, each with the epoch of its claim (1, 2, 3, ...)."""

    def __init__(self, database: Database, scope: str) -> None:
        self._owners = database[COLLECTION]
        self._scope = scope
        self._token = ""
        self._epochs: dict[int, int] = {}

    async def claim(self, partitions: Iterable[int]) -> None:
        """Become the owner; whoever owned them before can no longer commit anything."""
        self._token = str(uuid.uuid4())
        self._epochs = {}
        for partition in sorted(partitions):
            claimed = await self._owners.find_one_and_update(
                {"scope": self._scope, "partition": partition},
                {"$inc": {"epoch": 1}, "$set": {"token": self._token}},
                upsert=True,
                return_document=True,
            )
            assert claimed is not None  # noqa: S101 - an upsert that returns the document after it
            self._epochs[partition] = int(claimed["epoch"])

    def release(self) -> None:
        """Forget the claims; the next owner takes them over."""
        self._epochs = {}

    def owns(self, partition: int) -> bool:
        """Whether the partition was claimed and not released, as far as this process knows."""
        return partition in self._epochs

    def epoch(self, partition: int) -> int:
        """The epoch of the claim. Raises OwnershipLost if there is none."""
        try:
            return self._epochs[partition]
        except KeyError:
            raise OwnershipLost(f"{self._scope}: partition {partition} is not ours") from None

    async def verify(self, session: Session, partitions: Iterable[int]) -> None:
        """Make the transaction of `session` depend on still owning all of `partitions`.

        It writes, since only two writes conflict: a claim made after this transaction began aborts one of the two.

        Raises:
            OwnershipLost: another process has claimed one of them.
        """
        wanted = sorted(set(partitions))
        touched = await self._owners.update_many(
            {"scope": self._scope, "partition": {"$in": wanted}, "token": self._token},
            {"$inc": {"writes": 1}},
            session=session,
        )
        if touched.matched_count != len(wanted):
            raise OwnershipLost(f"{self._scope}: partitions {wanted} have another owner")
