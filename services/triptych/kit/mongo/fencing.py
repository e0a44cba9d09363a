"""Fences partitions: of two processes that both believe to own one, only the later can write.

Kafka hands a partition to a new consumer while the old one may be paused in the middle of a batch and wake up later.
Each owner therefore claims its partitions under a new epoch in MongoDB, and every transaction touches the claim: one
that began under an older epoch cannot commit. Claims lie in a collection that every transaction writes anyway, so that
touching them is a part of that write (measured: a round trip less makes a lone command and its view 2 ms sooner).

A process that is killed leaves its transaction open, and MongoDB lets it hold up all later ones for a minute or more.
An owner therefore writes down in which sessions it runs transactions, and its successor ends them.
"""

import time
import uuid
from collections.abc import Iterable

from triptych.kit.failures import OwnershipLost
from triptych.kit.mongo.driver import Collection, Cursor, Database, Document, IndexModel, Session, UpdateOne
from triptych.kit.mongo.transactions import end_left_open, end_sessions, wait_for_majority

SESSIONS = "owner_sessions"
INDEXES: dict[str, list[IndexModel]] = {SESSIONS: []}
_WITHOUT_CLAIMS: Document = {"_id": {"$type": "string"}}
# Drivers keep a few sessions and use them again and again; older ones are not in use any more.
SESSIONS_MAX = 50


def all_documents(collection: Collection, fields: Document | None = None, session: Session | None = None) -> Cursor:
    """Every document of a collection that claims lie in, without the claims; `fields` as in a MongoDB projection."""
    return collection.find(_WITHOUT_CLAIMS, fields, session=session)


async def count_documents(collection: Collection) -> int:
    """How many documents a collection has that claims lie in, without the claims."""
    return await collection.count_documents(_WITHOUT_CLAIMS)


class Ownership:
    """The partitions of one topic that this consumer owns, each with the epoch of its claim.

    Epochs rise with every claim, also if the last one is not known any more: they are seconds since 1970, or more.
    """

    def __init__(self, database: Database, scope: str, collection: str) -> None:
        """`scope` names the consumers that exclude each other; their claims lie in `collection`."""
        self._database = database
        self._owners: Collection = database[collection]
        self._sessions = database[SESSIONS]
        self._own_sessions: set[bytes] = set()
        self._written_down: set[bytes] = set()
        self._scope = scope
        self._token = ""
        self._epochs: dict[int, int] = {}

    async def claim(self, partitions: Iterable[int]) -> None:
        """Become the owner; whoever owned them before can no longer commit anything."""
        partitions = sorted(partitions)
        await end_left_open(self._database)
        await self._end_transactions(partitions)
        self._token = str(uuid.uuid4())
        self._epochs = {}
        self._written_down = set()
        for partition in partitions:
            epoch = {"$max": [{"$add": ["$epoch", 1]}, int(time.time())]}
            claimed = await self._owners.find_one_and_update(
                {"_id": self._id(partition)},
                [{"$set": {"epoch": epoch, "token": self._token, "writes": 0}}],
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

    async def fence(self, session: Session, partitions: Iterable[int]) -> list[UpdateOne]:
        """Writes that make the transaction of `session` depend on still owning all of `partitions`.

        They belong to the collection of the claims, and each has to match. They write, since only two writes conflict:
        a claim made after the transaction began aborts one of the two.
        """
        await self._store_sessions(session)
        return [
            UpdateOne({"_id": self._id(partition), "token": self._token}, {"$inc": {"writes": 1}})
            for partition in sorted(set(partitions))
        ]

    async def check(self, partitions: Iterable[int]) -> None:
        """Find out why a transaction failed; after that, reads show whatever was in its way.

        Raises:
            OwnershipLost: another process has claimed one of these partitions.
        """
        # An earlier commit may wait for its majority: until then nobody reads it, and everybody is refused by it.
        await wait_for_majority(self._database)
        ids = [self._id(partition) for partition in set(partitions)]
        if await self._owners.count_documents({"_id": {"$in": ids}, "token": self._token}) != len(ids):
            raise OwnershipLost(f"{self._scope}: partitions {sorted(set(partitions))} have another owner")

    def _id(self, partition: int) -> Document:
        return {"scope": self._scope, "partition": partition}

    async def _store_sessions(self, session: Session) -> None:
        session_id = session.session_id["id"]
        if session_id not in self._written_down:
            added = {"$each": [session_id], "$slice": -SESSIONS_MAX}
            await self._sessions.update_one({"_id": self._token}, {"$push": {"sessions": added}}, upsert=True)
            self._written_down.add(session_id)
            self._own_sessions.add(session_id)

    async def _end_transactions(self, partitions: Iterable[int]) -> None:
        """End what the present owners of these partitions have begun, unless it is this process itself."""
        query = {"_id": {"$in": [self._id(partition) for partition in partitions]}}
        tokens = {owner["token"] async for owner in self._owners.find(query, {"token": 1})}
        async for owner in self._sessions.find({"_id": {"$in": list(tokens)}}):
            await end_sessions(self._database, [one for one in owner["sessions"] if one not in self._own_sessions])
        await self._sessions.delete_many({"_id": {"$in": list(tokens)}})
