"""Views of galleries, stored as the projector stores them, for tests that only read."""

from datetime import timedelta

from tests.support.histories import EPOCH, History
from triptych.kit.mongo.driver import Database
from triptych.readmodel.documents import gallery_document, item_document
from triptych.readmodel.versions import FIRST_VERSION, ViewNames, names_of

HOUR = timedelta(hours=1)
FIRST = names_of(FIRST_VERSION)


async def store_views(database: Database, *histories: History, names: ViewNames = FIRST) -> None:
    """Store the state at the end of each history."""
    for history in histories:
        head = gallery_document(
            history.site_id, history.head(), total_items=len(history.items), sequence=len(history.wire)
        )
        await database[names.galleries].insert_one(head)
        items = [item_document(history.site_id, history.gallery_id, item, 1) for item in history.items.values()]
        if items:
            await database[names.items].insert_many(items)


def filled(site_id: str = "s", age: timedelta = HOUR, gallery_id: str | None = None, items: int = 5) -> History:
    """A gallery of some age, with items that are shown in the reverse order of their creation."""
    history = History(gallery_id, site_id=site_id, created_at=EPOCH - age).create()
    for order in range(items):
        history.add_item(order + 0.5)
    return history
