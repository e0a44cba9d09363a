"""Decides how a page of a site's galleries is found: newest first, or by name, after a cursor or from the beginning.

A search finds the names that begin with a text. A collation compares them without regard to case and accents. In its
order U+FFFF comes after every other character, so the names with this beginning are one range of an index.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Document, IndexModel
from triptych.readmodel.cursors import InvalidCursor

COUNTED_MAX = 1_000
"""Where counting the galleries that a search finds ends: the cost of a page must not grow with their number."""

COLLATION: Mapping[str, Any] = {"locale": "en", "strength": 1}

_LAST = "\uffff"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION = 1
_SHOWN = {"$gt": datetime(1, 1, 1, tzinfo=UTC)}

INDEXES = [
    IndexModel([("siteId", ASCENDING), ("createdAt", DESCENDING), ("_id", ASCENDING)]),
    # Without galleries that are not shown, and those without a name.
    IndexModel(
        [("siteId", ASCENDING), ("name", ASCENDING), ("_id", ASCENDING)],
        collation=COLLATION,
        partialFilterExpression={"createdAt": {"$exists": True}, "name": {"$exists": True}},
    ),
]


@dataclass(frozen=True, slots=True)
class GalleryCursor:
    """The position after a gallery: its creation in milliseconds, or its name in a search, and its id."""

    key: int | str
    gallery_id: str

    def __str__(self) -> str:
        """The opaque form."""
        return urlsafe_b64encode(orjson.dumps([_VERSION, self.key, self.gallery_id])).decode()


def read_gallery_cursor(cursor: str, *, is_search: bool) -> GalleryCursor:
    """The position of a cursor that a list, or a search, has returned. Raises InvalidCursor."""
    try:
        version, key, gallery_id = orjson.loads(urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, TypeError):
        raise InvalidCursor("the cursor is not one of this server's") from None
    found = GalleryCursor(key, gallery_id)
    is_known = version == _VERSION and type(key) is (str if is_search else int) and isinstance(gallery_id, str)
    if not is_known or str(found) != cursor or (isinstance(key, int) and not _is_moment(key)):
        raise InvalidCursor("the cursor is not one of this server's")
    return found


@dataclass(frozen=True, slots=True)
class GalleryList:
    """A list of galleries: all of a site, or those whose name begins with `name`; after a cursor, if there is one."""

    site_id: str
    name: str | None = None
    after: GalleryCursor | None = None

    def all_query(self) -> Document:
        """The filter for the whole list."""
        return {"siteId": self.site_id, "createdAt": _SHOWN, **self._name_range()}

    def query(self) -> Document:
        """The filter for what follows the cursor."""
        if self.after is None:
            return self.all_query()
        # Each branch is a range of the index in the order of the list, so that MongoDB can merge them without sorting.
        same = {"_id": {"$gt": self.after.gallery_id}}
        if isinstance(self.after.key, str):
            later = {"name": {"$gt": self.after.key, **self._end()}}
            branches = [later, {"name": self.after.key, **same}]
            return {"siteId": self.site_id, "createdAt": _SHOWN, "$or": branches}
        at = _EPOCH + timedelta(milliseconds=self.after.key)
        return {
            "siteId": self.site_id,
            "$or": [{"createdAt": {**_SHOWN, "$lt": at}}, {"createdAt": at, **same}],
        }

    def sort(self) -> list[tuple[str, int]]:
        """The order of the list."""
        key = ("createdAt", DESCENDING) if self.name is None else ("name", ASCENDING)
        return [key, ("_id", ASCENDING)]

    def options(self) -> dict[str, Any]:
        """How texts are compared."""
        return {} if self.name is None else {"collation": COLLATION}

    def cursor_of(self, head: Document) -> GalleryCursor:
        """The position after this gallery's document."""
        if self.name is not None:
            return GalleryCursor(head["name"], head["_id"])
        return GalleryCursor((head["createdAt"] - _EPOCH) // timedelta(milliseconds=1), head["_id"])

    def _name_range(self) -> Document:
        return {} if self.name is None else {"name": {"$gte": self.name, **self._end()}}

    def _end(self) -> Document:
        return {"$lt": f"{self.name}{_LAST}"}


def _is_moment(milliseconds: int) -> bool:
    try:
        _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return False
    return True
