"""The documents of the views: how a gallery and an item are stored, and how their wire form comes back.

Collections (docs/architecture/read-model.md):

* `gallery_views`: one document per gallery. One that has no `createdAt` is not shown: a tombstone (`deleted`), which
  keeps late repeats from bringing the gallery back, a gallery whose first event is missing, or one that waits for the
  items it was created with (`completeAt`, the sequence of the last of them).
* `item_views`: one document per item, with the item's wire form as it came in its event, of which free-form objects are
  stored as JSON text (`triptych.kit.mongo.opaque`). Its id names gallery and item:
  MongoDB finds by `_id` alone at two thirds of the cost of `_id` and conditions beside it (measured, updates of a
  filled collection), and no item can be reached through a gallery, and so through a site, that it does not belong to.

`triptych.readmodel.versions` tells which collections have these roles now.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from triptych.contract.item import FREE_FORM_PLACES
from triptych.kit.mongo.opaque import pack, unpack

GALLERY_VIEWS = "gallery_views"
ITEM_VIEWS = "item_views"

Document = dict[str, Any]

_EXACT_INTEGERS = 2**53


class Gap(TypedDict):
    """Events of a gallery that did not come: from `expected` on; `received` is the highest sequence seen beyond."""

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
    """A gallery's view from its wire form, whose `items` and `totalItems` are not looked at.

    Args:
        site_id: the site that the gallery belongs to.
        gallery: `id`, `name` if it has one, `sortOrder` and `createdDate`.
        total_items: how many items the view has.
        sequence: of the last event that the view contains.
        gap: what is missing after that event, if anything is.
        complete_at: the sequence from which on readers see it; 0 if they do.

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
    """What is kept of a gallery that readers do not see: a deleted one, or one whose first event is missing."""
    document: Document = {"_id": gallery_id, "siteId": site_id, "sequence": sequence}
    if deleted:
        document["deleted"] = True
    if gap is not None:
        document["gap"] = dict(gap)
    return document


def is_shown(document: Mapping[str, Any]) -> bool:
    """Whether readers see this gallery."""
    # Read from an index alone, a missing field comes as null.
    return document.get("createdAt") is not None


def gallery_wire(document: Mapping[str, Any]) -> dict[str, Any]:
    """The gallery of the contract, section 3.1, without its items, from a document that was made of one."""
    wire: dict[str, Any] = {"id": document["_id"]}
    if "name" in document:
        wire["name"] = document["name"]
    wire["totalItems"] = document["totalItems"]
    wire["sortOrder"] = _number(document["sortOrder"])
    wire["createdDate"] = document["createdDate"]
    return wire


def item_document(site_id: str, gallery_id: str, item: Mapping[str, Any], sequence: int) -> Document:
    """An item's view from its wire form and the sequence of the event that it came with.

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
        "item": pack(item, FREE_FORM_PLACES),
    }


def item_view_id(gallery_id: str, item_id: str) -> str:
    """The id of an item's view."""
    return f"{gallery_id}/{item_id}"


def item_wire(document: Mapping[str, Any]) -> dict[str, Any]:
    """The item of the contract, section 3.2, as it was in its event; the document is used up."""
    return unpack(document["item"], FREE_FORM_PLACES)


def _number(value: float) -> float | int:
    """The shortest form that reads back to the same double (contract, section 4, rule 5)."""
    return int(value) if value.is_integer() and abs(value) <= _EXACT_INTEGERS else value
