"""Defines the write model's documents in MongoDB: collection names, indexes, shapes and conversion, without I/O."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from triptych.command.domain.state import GalleryHead, StoredItem
from triptych.contract.item import FREE_FORM_PATHS
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Document, IndexModel
from triptych.kit.mongo.opaque import pack, unpack
from triptych.kit.mongo.sharding import ShardKey, UniqueOnReplicaSet
from triptych.writemodel.galleries import GALLERIES, ITEMS, Status

GALLERY_PLACES = "gallery_places"
RESERVATIONS = "gallery_sort_orders"
PROCESSED = "processed_commands"
JOBS = "jobs"
PARKED = "parked_commands"
STAGED = "staged_items"


def indexes(processed_retention: timedelta) -> dict[str, list[IndexModel]]:
    """Indexes of the write model, by collection; unique ones enforce sort orders (contract, section 4, rule 3)."""
    return {
        GALLERIES: [
            ShardKey("_id"),
            # Deleted galleries keep their document, but not their sort order. On a cluster, the galleries of a site are
            # on all shards, and `triptych.command.store.reservations` refuses duplicates.
            UniqueOnReplicaSet(
                [("siteId", ASCENDING), ("sortOrder", ASCENDING)],
                unique=True,
                partialFilterExpression={"sortOrder": {"$type": "double"}},
            ),
        ],
        # In the same order as the views' index, so that a comparison can read both in step.
        ITEMS: [
            ShardKey("galleryId"),
            IndexModel([("galleryId", ASCENDING), ("sortOrder", DESCENDING)], unique=True),
        ],
        GALLERY_PLACES: [],
        RESERVATIONS: [ShardKey("_id")],
        # By id, so that a command id is known in the whole installation, whichever gallery the command names.
        PROCESSED: [
            ShardKey("_id"),
            IndexModel([("at", ASCENDING)], expireAfterSeconds=int(processed_retention.total_seconds())),
        ],
        JOBS: [IndexModel([("partition", ASCENDING)])],
        # By id: the gallery of a command that cannot be read is replaced (`JobStore.quarantine`).
        PARKED: [
            ShardKey("_id"),
            IndexModel([("galleryId", ASCENDING), ("epoch", ASCENDING), ("number", ASCENDING)]),
        ],
        STAGED: [
            ShardKey("job"),
            IndexModel([("job", ASCENDING), ("position", ASCENDING)]),
            # For restores only: the items of a clone are not found by their sort orders.
            IndexModel(
                [("job", ASCENDING), ("sortOrder", ASCENDING)],
                partialFilterExpression={"sortOrder": {"$exists": True}},
            ),
        ],
    }


def head_document(head: GalleryHead) -> Document:
    """The document of a gallery, without `_id`."""
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
    """The gallery that a document represents."""
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
    """The document of an item."""
    return {
        "_id": item.item_id,
        "siteId": item.site_id,
        "galleryId": item.gallery_id,
        "sortOrder": item.sort_order,
        "item": stored_body(item.body),
    }


def item_of(document: Document) -> StoredItem:
    """The item that a document represents; the call consumes the document."""
    return StoredItem(
        document["_id"], document["galleryId"], document["siteId"], document["sortOrder"], body_of(document["item"])
    )


def stored_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """An item's body in its stored form: free-form objects are packed."""
    return pack(body, FREE_FORM_PATHS)


def body_of(stored: Document) -> dict[str, Any]:
    """The wire form of a stored body, also if an earlier version of this service stored free-form objects unpacked."""
    return unpack(stored, FREE_FORM_PATHS)
