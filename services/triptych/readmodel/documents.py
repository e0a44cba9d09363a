"""Defines the documents of the views, and converts the wire forms of galleries and items to documents and back.

Collections (docs/architecture/read-model.md):

* `gallery_views`: one document per gallery. A document without `createdAt` is not shown. It is a tombstone (`deleted`),
  so that late repeats do not restore the gallery; or a gallery whose first event is missing; or a gallery that waits
  for the items it was created with (`completeAt` is the sequence of the last of these items).
* `item_views`: one document per item, with the item's wire form as it came in its event. Free-form objects are stored
  as JSON text (`triptych.kit.mongo.opaque`). The id consists of the ids of gallery and item. A filter by `_id` alone
  has two thirds of the cost of a filter with further conditions (measured with updates of a filled collection). No item
  can be reached through a gallery, and so through a site, that it does not belong to.

`triptych.readmodel.versions` defines which collections have these roles now.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from triptych.contract.item import FREE_FORM_PATHS
from triptych.kit.mongo.opaque import pack, unpack

GALLERY_VIEWS = "gallery_views"
ITEM_VIEWS = "item_views"

Document = dict[str, Any]

_EXACT_INTEGERS = 2**53


class Gap(TypedDict):
    """A gallery lacks events: `expected` is the sequence it needs next, `received` the highest sequence seen since."""

    expected: int
    received: int


def gallery_document(
    site_id: str,
    gallery: Mapping[str, Any],
    *,
    total_items: int,
    sequence: int,
    gap: Gap | None = None,
    complete_at: int = 0,
) -> Document:
    """A gallery's view from its wire form. The `items` and `totalItems` of the wire form are ignored.

    Args:
        site_id: the site that the gallery belongs to.
        gallery: `id`, `name` if it has one, `sortOrder` and `createdDate`.
        total_items: the number of items in the view.
        sequence: the sequence of the last event that the view contains.
        gap: the events that are missing after that event, if any.
        complete_at: the sequence from which on readers see the gallery; 0 if they see it already.

    Raises:
        KeyError, TypeError, ValueError: `gallery` is not a gallery.
    """
    document = hidden_gallery_document(site_id, gallery["id"], sequence=sequence, gap=gap)
    document["sortOrder"] = float(gallery["sortOrder"])
    document["createdDate"] = gallery["createdDate"]
    document["totalItems"] = total_items
    created_at = datetime.fromisoformat(gallery["createdDate"])
    if complete_at:
        document["completeAt"] = complete_at
    else:
        document["createdAt"] = created_at
    if "name" in gallery:
        document["name"] = gallery["name"]
    return document


def hidden_gallery_document(
    site_id: str, gallery_id: str, *, sequence: int, deleted: bool = False, gap: Gap | None = None
) -> Document:
    """The view of a gallery that readers do not see: a deleted one, or one whose first event is missing."""
    document: Document = {"_id": gallery_id, "siteId": site_id, "sequence": sequence}
    if deleted:
        document["deleted"] = True
    if gap is not None:
        document["gap"] = dict(gap)
    return document


def is_shown(document: Mapping[str, Any]) -> bool:
    """Whether readers see this gallery."""
    # A query that is answered from an index alone returns a missing field as null.
    return document.get("createdAt") is not None


def gallery_wire(document: Mapping[str, Any]) -> dict[str, Any]:
    """The wire form of a gallery (contract, section 3.1), without its items, from a document of `gallery_document`."""
    wire: dict[str, Any] = {"id": document["_id"]}
    if "name" in document:
        wire["name"] = document["name"]
    wire["totalItems"] = document["totalItems"]
    wire["sortOrder"] = _number(document["sortOrder"])
    wire["createdDate"] = document["createdDate"]
    return wire


def item_document(site_id: str, gallery_id: str, item: Mapping[str, Any], sequence: int) -> Document:
    """An item's view from its wire form and the sequence of the event that has it.

    Raises:
        KeyError, TypeError, ValueError: `item` is not an item.
    """
    return {
        "_id": item_view_id(gallery_id, item["id"]),
        "siteId": site_id,
        "galleryId": gallery_id,
        "sortOrder": float(item["sortOrder"]),
        "sequence": sequence,
        "type": item["type"],
        "tags": list((item.get("tags") or {}).get("values", ())),
        "item": pack(item, FREE_FORM_PATHS),
    }


def item_view_id(gallery_id: str, item_id: str) -> str:
    """The id of an item's view."""
    return f"{gallery_id}/{item_id}"


def item_wire(document: Mapping[str, Any]) -> dict[str, Any]:
    """The wire form of an item (contract, section 3.2), as it was in its event. The call may change `document`."""
    return unpack(document["item"], FREE_FORM_PATHS)


def _number(value: float) -> float | int:
    """The shortest form that is parsed to the same double (contract, section 4, rule 5)."""
    return int(value) if value.is_integer() and abs(value) <= _EXACT_INTEGERS else value
