"""Reads from MongoDB's profiler how the operations of a block were executed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.shards import CLUSTER, MODE
from triptych.kit.mongo.driver import Database, Document


@asynccontextmanager
async def profiled(database: Database) -> AsyncIterator[list[Document]]:
    """The profiler's entries for the product's collections; the list is filled when the block ends.

    A router has no profiler: on a cluster, the test is skipped.
    """
    if MODE == CLUSTER:
        pytest.skip("the profiler shows what one server does")
    operations: list[Document] = []
    await database.command("profile", 2)
    try:
        yield operations
    finally:
        await database.command("profile", 0)
    entries = await database["system.profile"].find({"op": {"$ne": "insert"}}).to_list(None)
    operations += [entry for entry in entries if not entry["ns"].endswith(("$cmd", "system.profile"))]


def unindexed(operations: list[Document]) -> list[Document]:
    """The operations that read a whole collection or sorted in memory."""
    return [
        operation
        for operation in operations
        if "COLLSCAN" in operation.get("planSummary", "COLLSCAN") or operation.get("hasSortStage")
    ]
