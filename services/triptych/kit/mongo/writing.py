"""Writes documents in a transaction: a few with a plain command, which takes 0.1 ms less than a bulk write.

A bulk write of PyMongo is made for any number of writes of all kinds, and for retries. A few writes in a transaction
need none of that (decision 58).
"""

from collections.abc import Sequence
from typing import TypeAlias

from triptych.kit.mongo.driver import (
    BulkWriteError,
    Collection,
    DeleteOne,
    Document,
    ReplaceOne,
    Session,
    UpdateOne,
)

Write: TypeAlias = DeleteOne | ReplaceOne[Document] | UpdateOne
# Only a bulk write divides what exceeds MongoDB's largest message, 48 MB. Sixteen documents stay below that: none is
# much larger than 1 MB, except rows of the outbox, and all rows of a transaction have some 32 MB at most.
FEW_MAX = 16


async def insert_all(collection: Collection, documents: Sequence[Document], session: Session) -> None:
    """Insert documents in the transaction of `session`.

    Raises:
        BulkWriteError: a document was refused, for instance by a unique index. The transaction is aborted.
        PyMongoError: the server has aborted the transaction or is away.
    """
    if len(documents) > FEW_MAX:
        await collection.insert_many(documents, ordered=False, session=session)
    elif documents:
        await _send(collection, {"insert": collection.name, "documents": list(documents)}, session)


async def write_all(collection: Collection, writes: Sequence[Write], session: Session) -> int:
    """Carry out writes in any order in the transaction of `session`; the number of documents that updates matched.

    The writes have no other options than `upsert`.

    Raises:
        BulkWriteError, PyMongoError: as `insert_all` does.
    """
    statements = [_statement(write) for write in writes if not isinstance(write, DeleteOne)]
    if len(writes) > FEW_MAX or len(statements) < len(writes):
        return (await collection.bulk_write(list(writes), ordered=False, session=session)).matched_count
    if not statements:
        return 0
    reply = await _send(collection, {"update": collection.name, "updates": statements}, session)
    return int(reply["n"]) - len(reply.get("upserted", ()))


def _statement(write: ReplaceOne[Document] | UpdateOne) -> Document:
    return {"q": write._filter, "u": write._doc, "upsert": bool(write._upsert)}


async def _send(collection: Collection, command: Document, session: Session) -> Document:
    # Unordered: a cluster carries out ordered writes shard by shard, one after another.
    command["ordered"] = False
    reply: Document = await collection.database.command(
        command, codec_options=collection.codec_options, session=session
    )
    if "writeErrors" in reply:
        raise BulkWriteError(reply)
    return reply
