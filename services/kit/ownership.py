"""Fences partitions: of two processes that both believe to own one, only the later can write.

Kafka hands a partition to a new consumer while the old one may be paused in the middle of a batch and wake up later.
Each owner therefore claims its partitions under a new epoch in MongoDB, and every transaction touches the claim: one
that began under an older epoch cannot commit.

A process that is killed leaves its transaction open, and MongoDB lets it hold up all later ones for a minute or more.
An owner therefore writes down in which sessions it runs transactions, and its successor ends them.
"""

import uuid
from collections.abc import Iterable

from services.kit.failures import OwnershipLost
from services.kit.mongo import ASCENDING, Database, IndexModel, Session, end_sessions

COLLECTION = "partition_owners"
SESSIONS = "owner_sessions"
INDEXES: dict[str, list[IndexModel]] = {
    COLLECTION: [IndexModel([("scope", ASCENDING), ("partition", ASCENDING)], unique=True)],
    SESSIONS: [],
}
# Drivers keep a few sessions and use them again and again; older ones are not in use any more.
SESSIONS_MAX = 50


class Ownership:
    """The partitions of one topic that this consumer owns, each with the epoch of its claim (1, 2, 3, ...)."""

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self._owners = database[COLLECTION]
        self._sessions = database[SESSIONS]
        self._own_sessions: set[bytes] = set()
        self._written_down: set[bytes] = set()
        self._scope = scope
        self._token = ""
        self._epochs: dict[int, int] = {}

    async def claim(self, partitions: Iterable[int]) -> None:
        """Become the owner; whoever owned them before can no longer commit anything."""
        partitions = sorted(partitions)
        await self._end_transactions(partitions)
        self._token = str(uuid.uuid4())
        self._epochs = {}
        self._written_down = set()
        for partition in partitions:
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
        await self._write_down(session)
        wanted = sorted(set(partitions))
        touched = await self._owners.update_many(
            {"scope": self._scope, "partition": {"$in": wanted}, "token": self._token},
            {"$inc": {"writes": 1}},
            session=session,
        )
        if touched.matched_count != len(wanted):
            raise OwnershipLost(f"{self._scope}: partitions {wanted} have another owner")

    async def _write_down(self, session: Session) -> None:
        session_id = session.session_id["id"]
        if session_id not in self._written_down:
            added = {"$each": [session_id], "$slice": -SESSIONS_MAX}
            await self._sessions.update_one({"_id": self._token}, {"$push": {"sessions": added}}, upsert=True)
            self._written_down.add(session_id)
            self._own_sessions.add(session_id)

    async def _end_transactions(self, partitions: Iterable[int]) -> None:
        """End what the present owners of these partitions have begun, unless it is this process itself."""
        query = {"scope": self._scope, "partition": {"$in": list(partitions)}}
        tokens = {owner["token"] async for owner in self._owners.find(query, {"token": 1})}
        async for owner in self._sessions.find({"_id": {"$in": list(tokens)}}):
            await end_sessions(self._database, [one for one in owner["sessions"] if one not in self._own_sessions])
        await self._sessions.delete_many({"_id": {"$in": list(tokens)}})
