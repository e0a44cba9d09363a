"""Converts views to the documents that they are stored as, and back, purely."""

from typing import Any

from triptych.projector.view.fold import ItemView, MissingEvents, OpenSnapshot, View
from triptych.readmodel.documents import (
    Document,
    Gap,
    gallery_document,
    gallery_wire,
    hidden_gallery_document,
    item_wire,
)


def document_of(view: View) -> Document:
    """The document of a gallery's view."""
    gap = Gap(expected=view.missing.expected, received=view.missing.received) if view.missing else None
    if view.head is None:
        document = hidden_gallery_document(
            view.site_id, view.gallery_id, sequence=view.sequence, deleted=view.is_deleted, gap=gap
        )
    else:
        document = gallery_document(
            view.site_id,
            view.head,
            total_items=view.total_items,
            sequence=view.sequence,
            gap=gap,
            complete_at=view.complete_at,
        )
    if view.open_snapshot:
        document["restoration"] = {
            "snapshotId": view.open_snapshot.snapshot_id,
            "sequence": view.open_snapshot.sequence,
            "head": dict(view.open_snapshot.head),
            "position": view.open_snapshot.position,
        }
    return document


def view_of(document: Document) -> View:
    """The view that a gallery's document stores."""
    gap, open_snapshot = document.get("gap"), document.get("restoration")
    return View(
        document["siteId"],
        document["_id"],
        document["sequence"],
        _head_of(document) if "createdDate" in document else None,
        document.get("totalItems", 0),
        document.get("completeAt", 0),
        MissingEvents(gap["expected"], gap["received"]) if gap else None,
        _open_snapshot_of(open_snapshot) if open_snapshot else None,
    )


def item_view_of(document: Document) -> ItemView:
    """The view that an item's document stores."""
    item = item_wire(document)
    return ItemView(document["siteId"], document["galleryId"], item["id"], document["sequence"], item)


def _head_of(document: Document) -> dict[str, Any]:
    wire = gallery_wire(document)
    del wire["totalItems"]
    return wire


def _open_snapshot_of(stored: Document) -> OpenSnapshot:
    return OpenSnapshot(stored["snapshotId"], stored["sequence"], stored["head"], stored["position"])
