"""The write model's documents in MongoDB: names of collections, shapes, conversion; no I/O."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from triptych.command.domain.state import GalleryHead, StoredItem
from triptych.contract.item import FREE_FORM_PATHS
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Document, IndexModel
from triptych.kit.mongo.opaque import pack, unpack
from triptych.writemodel.galleries import GALLERIES, ITEMS, Status

GALLERY_PLACES = "gallery_places"
PROCESSED = "processed_commands"
JOBS = "jobs"
PARKED = "parked_commands"
STAGED = "staged_items"


def indexes(processed_retention: timedelta) -> dict[str, list[IndexModel]]:
    """Indexes of the write model; the unique ones enforce sort orders (contract, section 4, rule 3)."""
    return {
        GALLERIES: [
            # Deleted galleries keep their document, but not their place.
            IndexModel(
                [("siteId", ASCENDING), ("sortOrder", ASCENDING)],
                unique=True,
                partialFilterExpression={"sortOrder": {"$type": "double"}},
            )
        ],
        # In the order of the views' index, so that both can be compared as they are read.
        ITEMS: [IndexModel([("galleryId", ASCENDING), ("sortOrder", DESCENDING)], unique=True)],
        GALLERY_PLACES: [],
        PROCESSED: [IndexModel([("at", ASCENDING)], expireAfterSeconds=int(processed_retention.total_seconds()))],
        JOBS: [IndexModel([("partition", ASCENDING)])],
        PARKED: [IndexModel([("galleryId", ASCENDING), ("epoch", ASCENDING), ("number", ASCENDING)])],
        STAGED: [IndexModel([("job", ASCENDING), ("position", ASCENDING)])],
    }


def head_document(head: GalleryHead) -> Document:
    """A gallery's document without `_id`."""
    document: Document = {
        "siteId": head.site_id,
        "name": head.name,
        "createdDate": head.created_date,
        "totalItems": head.total_items,
        "sequence": head.sequence,
        "lastDefault": head.last_default,
        "highest": head.highest,
        "status": head.status.value,
        "job": head.job,
    }
    if head.status is not Status.DELETED:
        document["sortOrder"] = head.sort_order
    return document


def head_of(document: Document) -> GalleryHead:
    """The gallery of a document."""
    return GalleryHead(
        gallery_id=document["_id"],
        site_id=document["siteId"],
        name=document["name"],
        sort_order=document.get("sortOrder", 0.0),
        created_date=document["createdDate"],
        total_items=document["totalItems"],
        sequence=document["sequence"],
        last_default=document["lastDefault"],
        highest=document["highest"],
        status=Status(document["status"]),
        job=document["job"],
    )


def item_document(item: StoredItem) -> Document:
    """An item's document."""
    return {
        "_id": item.item_id,
        "siteId": item.site_id,
        "galleryId": item.gallery_id,
        "sortOrder": item.sort_order,
        "item": stored_body(item.body),
    }


def item_of(document: Document) -> StoredItem:
    """The item of a document, which is used up."""
    return StoredItem(
        document["_id"], document["galleryId"], document["siteId"], document["sortOrder"], body_of(document["item"])
    )


def stored_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """An item's body as it is stored."""
    return pack(body, FREE_FORM_PATHS)


def body_of(stored: Document) -> dict[str, Any]:
    """The body that was stored, also by versions of this service that stored free-form objects as they were."""
    return unpack(stored, FREE_FORM_PATHS)
