"""Examples for the OpenAPI document; all of them work with the demo gallery of `triptych up`."""

from typing import Any

import orjson

from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID
from triptych.contract.identity import derived_gallery_id, derived_item_id
from triptych.gateway.access.keys import hash_key, source_of

DEV_KEY = "dev-key"
"""The API key of a local stack."""

DEMO_KEY = "demo"
"""The idempotency key of the demo gallery; the gallery's ids are derived from it."""

_SOURCE = source_of(hash_key(DEV_KEY))
GALLERY_ID = derived_gallery_id(DEFAULT_SITE_ID, DEMO_KEY, _SOURCE)
ITEM_IDS = tuple(derived_item_id(DEFAULT_SITE_ID, DEMO_KEY, index, _SOURCE) for index in range(3))

IMAGE: dict[str, Any] = {
    "title": "Harbour",
    "image": {"imageInfo": {"url": "https://example.com/harbour.jpg"}, "quality": 90},
    "tags": {"values": ["sea"]},
}
TEXT: dict[str, Any] = {"title": "Caption", "text": {"html": "<p>At the sea</p>"}}

CREATE_GALLERY = {"gallery": {"name": "Holidays", "items": [IMAGE, TEXT]}}
UPDATE_GALLERY = {"gallery": {"name": "Three panels, renamed"}}
CREATE_ITEM = {"item": IMAGE}
UPDATE_ITEM = {"item": {"title": "Early morning", "description": "Taken at six"}}
DELETE_ITEMS = {"itemIds": [ITEM_IDS[1]]}
MOVE_ITEM = {"to": "end"}
MOVE_ITEMS = {"itemIds": [ITEM_IDS[2], ITEM_IDS[0]], "to": "start"}
ITEM_LINES = "\n".join(orjson.dumps(item).decode() for item in (IMAGE, TEXT)) + "\n"
RESTORE_GALLERY = {"sequence": 4, "asNewGallery": True}
CREATE_ITEMS = {"items": [IMAGE, TEXT]}
