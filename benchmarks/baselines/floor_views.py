"""Turns events into documents of the views, for the floors of projection and rebuild. It expects valid events only."""

from datetime import datetime

from benchmarks.baselines.floor_mongo import Document


def gallery_view(entity: Document) -> Document:
    """The document of a new gallery."""
    return {
        "_id": entity["id"],
        "siteId": "default",
        "sequence": 1,
        "name": entity["name"],
        "sortOrder": float(entity["sortOrder"]),
        "createdDate": entity["createdDate"],
        "createdAt": datetime.fromisoformat(entity["createdDate"]),
        "totalItems": 0,
    }


def apply_event(head: Document, event: Document) -> tuple[str, Document | None]:
    """Apply an event of an item to its gallery's document; the id and the content of the item, None if deleted."""
    head["sequence"] = int(event["entityEventSequence"])
    body = event["actionEvent"]["body"]
    if "itemId" in body:
        head["totalItems"] -= 1
        return body["itemId"], None
    if "item" in body:
        head["totalItems"] += 1
        item = body["item"]
    else:
        item = body["updatedItem"]
    return item["id"], item


def item_view(gallery_id: str, sequence: int, item: Document) -> Document:
    """The document of an item."""
    return {
        "_id": f"{gallery_id}/{item['id']}",
        "siteId": "default",
        "galleryId": gallery_id,
        "sortOrder": float(item["sortOrder"]),
        "sequence": sequence,
        "type": item["type"],
        "tags": item["tags"]["values"],
        "item": item,
    }
