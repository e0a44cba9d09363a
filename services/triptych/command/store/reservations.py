"""Reserves the sort orders of galleries in their sites on a sharded cluster, where no unique index can.

The galleries of a site are on all shards, and each shard enforces a unique index only among its own documents. So a
document for each sort order that is taken, with site and sort order as its id, is written in the transaction that
changes the gallery. A replica set has the unique index instead, and no reservations.
"""

from collections.abc import Iterable
from typing import TypeAlias

from triptych.command.domain.state import GalleryHead
from triptych.command.store.documents import RESERVATIONS
from triptych.kit.mongo.driver import Database, Document, Session
from triptych.kit.mongo.inserting import insert_all
from triptych.kit.mongo.routers import has_shards
from triptych.writemodel.galleries import Status

Place: TypeAlias = tuple[str, float]
"""A site and a sort order of galleries in it."""
ChangedHead: TypeAlias = tuple[GalleryHead | None, GalleryHead | None]
"""A gallery as it was stored and as it will be; None if it has no document."""


def place_of(head: GalleryHead | None) -> Place | None:
    """The place that a gallery takes; None if it takes none, because it does not exist or is deleted."""
    return None if head is None or head.status is Status.DELETED else (head.site_id, head.sort_order)


def moved(heads: Iterable[ChangedHead]) -> tuple[list[Place], list[tuple[Place, str]]]:
    """The places that galleries leave, and those that they take, with the id of the gallery."""
    left: list[Place] = []
    taken: list[tuple[Place, str]] = []
    for before, after in heads:
        old, new = place_of(before), place_of(after)
        if old == new:
            continue
        if old is not None:
            left.append(old)
        if after is not None and new is not None:
            taken.append((new, after.gallery_id))
    return left, taken


class Reservations:
    """The places that the galleries of one installation take: `{_id: {siteId, sortOrder}, galleryId}`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reservations = database[RESERVATIONS]

    async def follow(self, heads: Iterable[ChangedHead], session: Session) -> None:
        """Write the changed places in the transaction of `session`; nothing on a replica set.

        Raises:
            DuplicateKeyError: another gallery has one of the places.
        """
        if not has_shards(self._database):
            return
        left, taken = moved(heads)
        if left:
            await self._reservations.delete_many({"_id": {"$in": [_id(place) for place in left]}}, session=session)
        documents = [{"_id": _id(place), "galleryId": gallery_id} for place, gallery_id in taken]
        await insert_all(self._reservations, documents, session)


def _id(place: Place) -> Document:
    site_id, sort_order = place
    return {"siteId": site_id, "sortOrder": sort_order}
