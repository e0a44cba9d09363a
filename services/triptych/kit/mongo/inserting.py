"""Inserts the documents of a batch. Some may exist already, from an attempt that failed."""

from collections.abc import Sequence

from triptych.kit.mongo.codes import DUPLICATE_KEY
from triptych.kit.mongo.driver import BulkWriteError, Collection, Document


async def insert_new(collection: Collection, documents: Sequence[Document]) -> frozenset[int]:
    """Insert the documents that do not exist yet; the indexes in `documents` of those that did.

    Raises:
        PyMongoError: not all of the others may have been inserted, or they may be lost with the primary. The documents
            that exist do not count: after a server that is away, this is a transient failure.
    """
    if not documents:
        return frozenset()
    try:
        await collection.insert_many(list(documents), ordered=False)
    except BulkWriteError as error:
        problems = error.details.get("writeErrors", [])
        others = [problem for problem in problems if problem["code"] != DUPLICATE_KEY]
        if others or error.details.get("writeConcernErrors"):
            raise BulkWriteError({**error.details, "writeErrors": others}) from error
        return frozenset(problem["index"] for problem in problems)
    return frozenset()
