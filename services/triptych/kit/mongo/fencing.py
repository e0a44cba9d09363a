"""Fences partitions: if two processes believe that they own the same partition, only the later owner can write.

Kafka may give a partition to a new consumer while the old one is paused in the middle of a batch and wakes up later.
Each owner therefore claims its partitions under a new epoch in MongoDB, and every transaction writes to the claims. A
transaction that began under an older epoch cannot commit. Claims are stored in a collection that every transaction
writes anyway, so one bulk write does both (measured: one round trip less; a single command and its view are 2 ms
faster).

A process that is killed leaves its transaction open, and MongoDB lets it block later ones for a minute or more. Each
owner therefore stores the ids of the sessions in which it runs transactions, and its successor ends these transactions.
"""

import uuid
from collections.abc import Iterable, Mapping

from triptych.kit.failures import OwnershipLost
from triptych.kit.mongo.driver import Collection, Cursor, Database, Document, IndexModel, Session, UpdateOne
from triptych.kit.mongo.transactions import end_left_open, end_sessions, settled_reads
from triptych.kit.process.clock import unix_seconds

SESSIONS = "owner_sessions"
INDEXES: dict[str, list[IndexModel]] = {SESSIONS: []}
_WITHOUT_CLAIMS: Document = {"_id": {"$type": "string"}}
# Drivers reuse a few sessions. Older ones are not in use any more.
SESSIONS_MAX = 50


def all_documents(collection: Collection, fields: Document | None = None, session: Session | None = None) -> Cursor:
    """All documents of a collection that also has claims, without the claims; `fields` as in a MongoDB projection."""
    return collection.find(_WITHOUT_CLAIMS, fields, session=session)


async def count_documents(collection: Collection) -> int:
    """The number of documents in a collection that also has claims, without the claims."""
    return await collection.count_documents(_WITHOUT_CLAIMS)


class Ownership:
    """The partitions of one topic that this consumer owns, each with the epoch of its claim.

    An epoch is the time of the claim in seconds since 1970, or the last epoch plus one if that is higher. So epochs
    rise with every claim, even if the last claim was deleted.
    """

    def __init__(self, database: Database, scope: str, collection: str) -> None:
        """`scope` names the consumers that exclude each other; `collection` has their claims."""
        self._database = database
        self._owners: Collection = database[collection]
        self._sessions = database[SESSIONS]
        self._own_sessions: set[bytes] = set()
        self._stored_sessions: set[bytes] = set()
        self._scope = scope
        self._token = ""
        self._epochs: dict[int, int] = {}

    @property
    def token(self) -> str:
        """What all claims that were made together have in common, and no other claim has."""
        return self._token

    async def claim(self, partitions: Iterable[int], above: Mapping[int, int] | None = None) -> None:
        """Become the owner. Former owners can no longer commit anything for these partitions.

        The epoch of a claim is higher than what `above` has for its partition.
        """
        partitions = sorted(partitions)
        await end_left_open(self._database)
        await self._end_transactions(partitions)
        self._token = str(uuid.uuid4())
        self._epochs = {}
        self._stored_sessions = set()
        ids = {partition: self._id(partition) for partition in partitions}
        if not ids:
            return
        seconds, above = int(unix_seconds()), above or {}
        # Two requests, whatever the number of partitions: who waits for them waits for this.
        await self._owners.bulk_write(
            [
                UpdateOne(
                    {"_id": ids[partition]},
                    [
                        {
                            "$set": {
                                "epoch": {"$max": [{"$add": ["$epoch", 1]}, seconds, above.get(partition, 0) + 1]},
                                "token": self._token,
                                "writes": 0,
                            }
                        }
                    ],
                    upsert=True,
                )
                for partition in partitions
            ],
            ordered=False,
        )
        # If another process has claimed a partition since, this is the epoch of its claim. No write of ours is
        # committed with it.
        claims = await self._owners.find({"_id": {"$in": list(ids.values())}}, {"epoch": 1}).to_list(None)
        self._epochs = {claim["_id"]["partition"]: int(claim["epoch"]) for claim in claims}

    def release(self) -> None:
        """Forget the claims. The next owner replaces them."""
        self._epochs = {}

    def owns(self, partition: int) -> bool:
        """Whether this process has claimed the partition and not released it. Another process may own it by now."""
        return partition in self._epochs

    def epoch(self, partition: int) -> int:
        """The epoch of the claim. Raises OwnershipLost if there is none."""
        try:
            return self._epochs[partition]
        except KeyError:
            raise OwnershipLost(f"{self._scope}: partition {partition} is not ours") from None

    async def is_lost(self) -> bool:
        """Whether another process has claimed a partition that this one has claimed and not released.

        Raises the driver's errors.
        """
        token, ids = self._token, [self._id(partition) for partition in self._epochs]
        if not ids:
            return False
        return await self._owners.count_documents({"_id": {"$in": ids}, "token": token}) != len(ids)

    async def fence(self, session: Session, partitions: Iterable[int]) -> list[UpdateOne]:
        """Updates that make the transaction of `session` depend on still owning all of `partitions`.

        Send them to the collection of the claims; each has to match a document. They change the claim, since only two
        writes conflict: a claim that is made after the transaction began aborts one of the two.
        """
        await self._store_sessions(session)
        return [
            UpdateOne({"_id": self._id(partition), "token": self._token}, {"$inc": {"writes": 1}})
            for partition in sorted(set(partitions))
        ]

    async def check(self, partitions: Iterable[int]) -> None:
        """Find out why a transaction failed. Afterwards, reads show the writes that it conflicted with.

        Raises:
            OwnershipLost: another process has claimed one of these partitions.
        """
        ids = [self._id(partition) for partition in set(partitions)]
        # An earlier commit may still wait for its majority. Until then no read shows it, and writes conflict with it.
        async with settled_reads(self._database) as session:
            query = {"_id": {"$in": ids}, "token": self._token}
            count = await self._owners.count_documents(query, session=session)
        if count != len(ids):
            raise OwnershipLost(f"{self._scope}: partitions {sorted(set(partitions))} have another owner")

    def _id(self, partition: int) -> Document:
        return {"scope": self._scope, "partition": partition}

    async def _store_sessions(self, session: Session) -> None:
        session_id = session.session_id["id"]
        if session_id not in self._stored_sessions:
            added = {"$each": [session_id], "$slice": -SESSIONS_MAX}
            await self._sessions.update_one({"_id": self._token}, {"$push": {"sessions": added}}, upsert=True)
            self._stored_sessions.add(session_id)
            self._own_sessions.add(session_id)

    async def _end_transactions(self, partitions: Iterable[int]) -> None:
        """End the transactions of the present owners of these partitions, except those of this process."""
        query = {"_id": {"$in": [self._id(partition) for partition in partitions]}}
        tokens = {owner["token"] async for owner in self._owners.find(query, {"token": 1})}
        async for owner in self._sessions.find({"_id": {"$in": list(tokens)}}):
            others = [session_id for session_id in owner["sessions"] if session_id not in self._own_sessions]
            await end_sessions(self._database, others)
        await self._sessions.delete_many({"_id": {"$in": list(tokens)}})
