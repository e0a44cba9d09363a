"""Gathers the migrations of the command service's collections."""

from typing import Any

from triptych.contract.item import FREE_FORM_PATHS
from triptych.kit.mongo.driver import Database
from triptych.kit.upgrading.migrations import Migration, Step
from triptych.kit.upgrading.packing import pack_page
from triptych.writemodel.galleries import ITEMS


async def _count(database: Database) -> int:
    return await database[ITEMS].estimated_document_count()


async def _pack(database: Database, cursor: Any) -> Step:
    return await pack_page(database[ITEMS], "item", FREE_FORM_PATHS, cursor)


MIGRATIONS = (
    Migration(
        name="pack-free-form-objects-of-items",
        description="Stores free-form objects of items as JSON text, which items of earlier builds lack (decision 6).",
        version=2,
        oldest_build=1,
        count=_count,
        step=_pack,
    ),
)
