"""Gathers the migrations of the projector's collections."""

from typing import Any

from triptych.contract.item import FREE_FORM_PATHS
from triptych.kit.mongo.driver import Collection, Database
from triptych.kit.upgrading.migrations import Migration, Step
from triptych.kit.upgrading.packing import pack_page
from triptych.readmodel.versions import Versions, names_of


async def _items(database: Database) -> Collection:
    """The items of the active version of the views. A version that is built meanwhile has the new shape already."""
    return database[names_of(await Versions(database).active()).items]


async def _count(database: Database) -> int:
    return await (await _items(database)).estimated_document_count()


async def _pack(database: Database, cursor: Any) -> Step:
    return await pack_page(await _items(database), "item", FREE_FORM_PATHS, cursor)


MIGRATIONS = (
    Migration(
        name="pack-free-form-objects-of-views",
        description="Stores free-form objects of item views as JSON text, which views of earlier builds lack.",
        version=2,
        oldest_build=1,
        count=_count,
        step=_pack,
    ),
)
