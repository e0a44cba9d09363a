"""Finds galleries and items in JSON documents: the lines of an export, or answers of Wix's API (pure).

An item in an answer does not name its gallery. It belongs to the gallery around it, or to the last gallery before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from triptych.cli.transfer.sdk_form import rest_form
from triptych.contract.base import parse_guid
from triptych.contract.exports import EXPORT_FORMAT
from triptych.contract.item import MEDIA

_HEAD_FIELDS = ("totalItems", "items", "name", "sortOrder")


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """A gallery; its items follow as entries of their own. `total_items` is None if the document does not say."""

    gallery_id: str
    gallery: Mapping[str, Any]
    total_items: int | None


@dataclass(frozen=True, slots=True)
class ItemEntry:
    """An item in the form of the REST API."""

    gallery_id: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnknownEntry:
    """Something that is neither; `content` is the JSON value, or the text of a line that is not JSON."""

    content: Any
    reason: str


Entry = GalleryEntry | ItemEntry | UnknownEntry


class EntryReader:
    """Reads the documents of one input, in order."""

    def __init__(self, gallery_id: str | None = None) -> None:
        """`gallery_id` is the gallery of items before the first gallery."""
        self._gallery_id = gallery_id

    def entries(self, value: Any) -> Iterator[Entry]:
        """The galleries and items of a document."""
        if isinstance(value, list):
            for member in value:
                yield from self.entries(member)
        elif not isinstance(value, Mapping):
            yield UnknownEntry(value, "is neither a gallery nor an item")
        elif value.get("kind") in ("gallery", "item"):
            yield from self._line(value)
        else:
            yield from self._answer(value)

    def _line(self, line: Mapping[str, Any]) -> Iterator[Entry]:
        if line["kind"] == "item":
            yield from self._item(line.get("item"), line.get("galleryId"))
        elif line.get("format") != EXPORT_FORMAT:
            yield UnknownEntry(line, f"has another format than {EXPORT_FORMAT}")
        else:
            yield from self._gallery(line.get("gallery"))

    def _answer(self, value: Mapping[str, Any]) -> Iterator[Entry]:
        if isinstance(value.get("galleries"), list):
            for gallery in value["galleries"]:
                yield from self._gallery(gallery)
        elif "gallery" in value:
            yield from self._gallery(value["gallery"])
        elif "item" in value:
            yield from self._item(value["item"], value.get("galleryId"))
        elif any(medium in value for medium in MEDIA):
            yield from self._item(value)
        elif "id" not in value and "_id" not in value and isinstance(value.get("items"), list):
            for item in value["items"]:
                yield from self._item(item, value.get("galleryId"))
        elif any(field in value for field in _HEAD_FIELDS):
            yield from self._gallery(value)
        else:
            yield UnknownEntry(value, "is neither a gallery nor an item")

    def _gallery(self, value: Any) -> Iterator[Entry]:
        gallery = rest_form(value) if isinstance(value, Mapping) else {}
        gallery_id = _guid(gallery.get("id"))
        if gallery_id is None:
            yield UnknownEntry(value, "is not a gallery with an id that is a GUID")
            return
        self._gallery_id = gallery_id
        items = gallery.pop("items", None)
        total = gallery.get("totalItems")
        yield GalleryEntry(gallery_id, gallery, total if isinstance(total, int) else None)
        for item in items if isinstance(items, list) else ():
            yield from self._item(item, gallery_id)

    def _item(self, value: Any, named: Any = None) -> Iterator[Entry]:
        gallery_id = self._gallery_id if named is None else _guid(named)
        if not isinstance(value, Mapping):
            yield UnknownEntry(value, "is not an item")
        elif gallery_id is None:
            reason = (
                "has no gallery: name the gallery with --gallery" if named is None else "names no gallery by a GUID"
            )
            yield UnknownEntry(value, reason)
        else:
            yield ItemEntry(gallery_id, rest_form(value))


def _guid(value: Any) -> str | None:
    try:
        return parse_guid(value) if isinstance(value, str) else None
    except ValueError:
        return None
