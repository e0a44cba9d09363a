"""Makes the event of a test delivery: a normal event of its type, for a gallery that does not exist."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import uuid_utils

from triptych.contract.base import format_instant
from triptych.contract.codec.events import (
    EventType,
    gallery_created,
    gallery_deleted,
    gallery_updated,
    item_created,
    item_deleted,
    item_updated,
)
from triptych.kit.mongo.driver import Binary, Document
from triptych.webhooks.store.listener_documents import Listener

TEST_ORIGIN = "Test"
"""`originatedFrom` of a test event, which distinguishes it from a real one."""
KEPT = timedelta(days=30)
"""How long a test event is kept, so that its delivery can be sent again."""


def example_event(listener: Listener, now: datetime) -> Document:
    """An event of the first type that the listener asked for, as a stored document.

    The gallery's id is random even if the listener asked for certain galleries: a receiver may apply the event, and
    must not apply it to a gallery that exists. The document has no site, so that no replay finds it.
    """
    event_type = EventType(min(listener.event_types))
    event_id, gallery_id, item_id = str(uuid_utils.uuid7()), str(uuid4()), str(uuid4())
    created = format_instant(now)
    gallery = {"id": gallery_id, "name": "Test", "totalItems": 0, "sortOrder": 1, "createdDate": created}
    item = {
        "id": item_id,
        "sortOrder": 1,
        "title": "Test",
        "text": {"html": "<p>Test</p>"},
        "type": "TEXT",
        "createdDate": created,
        "updatedDate": created,
    }
    event: dict[str, Any]
    match event_type:
        case EventType.GALLERY_CREATED:
            event = gallery_created(event_id, gallery_id, 1, now, gallery, TEST_ORIGIN)
        case EventType.GALLERY_UPDATED:
            event = gallery_updated(event_id, gallery_id, 1, now, gallery, TEST_ORIGIN)
        case EventType.GALLERY_DELETED:
            event = gallery_deleted(event_id, gallery_id, 1, now, TEST_ORIGIN)
        case EventType.ITEM_CREATED:
            event = item_created(event_id, gallery_id, 1, now, item, TEST_ORIGIN)
        case EventType.ITEM_UPDATED:
            event = item_updated(event_id, gallery_id, 1, now, item, TEST_ORIGIN)
        case EventType.ITEM_DELETED:
            event = item_deleted(event_id, gallery_id, 1, now, item_id, TEST_ORIGIN)
    return {
        "_id": event_id,
        "eventType": event_type.value,
        "galleryId": gallery_id,
        "sequence": 1,
        "occurredAt": now,
        "value": Binary(orjson.dumps(event)),
        "expiresAt": now + KEPT,
    }
