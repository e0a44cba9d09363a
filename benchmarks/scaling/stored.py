"""Stores galleries with their items and views before a measurement, in the product's own shapes, and counts their size.

Galleries of a number and size have a database of their own. A large one is used again by later points and runs.
Insertion continues with the collection that was not complete when it was interrupted.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from benchmarks.scaling.points import Size
from benchmarks.simulation import gallery_id, made_id, new_gallery, photo
from benchmarks.workload import head_of, items_of
from triptych.command.app import indexes as command_indexes
from triptych.command.settings import CommandSettings
from triptych.contract.item import FREE_FORM_PATHS
from triptych.kit.mongo.driver import Database, Document
from triptych.kit.mongo.opaque import unpack
from triptych.kit.startup.provision import ensure_indexes
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, gallery_document, item_document
from triptych.readmodel.queries import INDEXES as VIEW_INDEXES
from triptych.writemodel.galleries import GALLERIES, ITEMS

PREPARED = "prepared"
KEPT = (GALLERIES, ITEMS, GALLERY_VIEWS, ITEM_VIEWS)
AT_ONCE = 5_000
SITE = "default"
DATE = "2025-01-01T00:00:00.000Z"


def name_of(galleries: int, items: int) -> str:
    """The database of this number of galleries with this number of items each."""
    return f"scaling_{galleries}_{items}"


RENEWED_MAX = 50_000
"""Up to this number of items, a set is stored anew for each point: each point adds items, which would make the next
one dearer."""
WRITE_MODEL, VIEWS = (GALLERIES, ITEMS), (GALLERY_VIEWS, ITEM_VIEWS)


async def prepare(database: Database, part: str, galleries: int, items: int, say: Callable[[str], None]) -> None:
    """Store what a part needs of the galleries, unless it is there already and large.

    Indexes are built when all documents are there.
    """
    if galleries * items <= RENEWED_MAX:
        await database.client.drop_database(database.name)
    makers: dict[str, Callable[[int, int], Iterable[Document]]] = {
        GALLERIES: lambda number, _: [head_of(new_gallery(number, items))],
        ITEMS: lambda number, size: items_of(new_gallery(number, size)),
        GALLERY_VIEWS: _gallery_view,
        ITEM_VIEWS: _item_views,
    }
    needed, indexes = (WRITE_MODEL, command_indexes(CommandSettings())) if part == "command" else (VIEWS, VIEW_INDEXES)
    for collection in needed:
        if await database[PREPARED].find_one({"_id": collection}):
            continue
        say(f"storing {galleries:,} galleries with {items} items each: {collection}")
        await database[collection].drop()
        documents = (document for number in range(galleries) for document in makers[collection](number, items))
        while chunk := list(islice(documents, AT_ONCE)):
            await database[collection].insert_many(chunk, ordered=False)
        await database[PREPARED].insert_one({"_id": collection})
    ready = f"indexes of {needed[0]}"
    if await database[PREPARED].find_one({"_id": ready}):
        return
    say("building indexes")
    await ensure_indexes(database, indexes)
    await database[PREPARED].insert_one({"_id": ready})


async def forget_traces(database: Database) -> None:
    """Remove what the services have stored besides galleries and views: claims, outcomes, rows, places of processes."""
    for name in await database.list_collection_names():
        if name not in (*KEPT, PREPARED):
            await database[name].drop()
    for collection in (GALLERIES, GALLERY_VIEWS):
        await database[collection].delete_many({"_id": {"$type": "object"}})


async def load_into_cache(database: Database, part: str) -> None:
    """Read the collections that a part uses from beginning to end, so that MongoDB has them in its cache."""
    for collection in WRITE_MODEL if part == "command" else VIEWS:
        await database[collection].count_documents({"noSuchField": 1})
        for index in await database[collection].index_information():
            if not index.startswith("gap"):  # a sparse index does not have all documents
                await database[collection].count_documents({}, hint=index)


async def size_of(database: Database, collection: str) -> Size | None:
    """The mean size of a collection's documents, after a checkpoint; None if it is empty."""
    await database.client.admin.command("fsync")
    stats: dict[str, Any] = await database.command("collStats", collection)
    count: int = stats.get("count", 0)
    if not count:
        return None
    return Size(count, stats["size"] / count, stats["storageSize"] / count, stats["totalIndexSize"] / count)


def _gallery_view(number: int, items: int) -> Iterator[Document]:
    gallery = {"id": gallery_id(number), "name": f"Gallery {number}", "sortOrder": float(number), "createdDate": DATE}
    yield gallery_document(SITE, gallery, total_items=items, sequence=1)


def _item_views(number: int, items: int) -> Iterator[Document]:
    for document in items_of(new_gallery(number, items)):
        yield item_document(SITE, gallery_id(number), unpack(document["item"], FREE_FORM_PATHS), 1)


def item_id(gallery: int, index: int, items: int) -> str:
    """The id of an item that `prepare` has stored."""
    return made_id("item", gallery * items + index)


def item_wire(gallery: int, index: int, items: int, title: str) -> dict[str, Any]:
    """An item that `prepare` has stored, with another title, as its event has it."""
    stored = {"id": item_id(gallery, index, items), "type": "IMAGE", "createdDate": DATE, "updatedDate": DATE}
    return {**photo(index, title), **stored, "sortOrder": 1_600_000_000_000 - index * 1_000}
