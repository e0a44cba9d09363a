"""The galleries, items and bodies in the wire examples; together they have every field of the contract."""

from datetime import UTC, datetime
from typing import Any

SITE_ID = "default"
SOURCE = "shop-window"
GALLERY_ID = "4937b26c-1d52-4b3c-9c7f-0a2f6d1b8e11"
OTHER_GALLERY_ID = "5a1f0c3e-8b64-4d0a-9a55-6d2c1e7f9b20"
ITEM_ID = "a045b201-7a0e-4f0e-8a51-2f1c3b4d5e6f"
OTHER_ITEM_ID = "17c786c6-0b1a-4c2d-8e3f-405162738495"
EVENT_ID = "0194f3a1-6c2e-7b1d-9f00-3a5c7e9b1d24"
COMMAND_ID = "order-1"
SNAPSHOT_ID = "snapshot-1"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACESTATE = "vendor=1"
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
DATE = "2026-01-02T03:04:05.678Z"

_ADDRESSED: dict[str, Any] = {"height": 100, "width": 200, "altText": "my pic.jpg", "filename": "my pic.jpg"}

IMAGE: dict[str, Any] = {
    "title": "An image",
    "description": "With everything that an image may have",
    "sortOrder": 2.5,
    "link": {"text": "more", "url": "https://example.com/more"},
    "image": {
        "imageInfo": {"id": "abc~mv2.jpg", "url": "https://static.wixstatic.com/media/abc~mv2.jpg", **_ADDRESSED},
        "focalPoint": {"x": 0.9, "y": 0.1},
        "exif": {"Artist": "B", "FNumber": 2.8},
        "quality": 90,
        "unsharpMasking": {"amount": 1, "radius": 2, "threshold": 0.5},
    },
    "tags": {"values": ["first", "second"]},
}
VIDEO: dict[str, Any] = {
    "title": "A video",
    "sortOrder": 2,
    "video": {
        "type": "WIX_MEDIA",
        "videoInfo": {
            "id": "vid_1",
            "url": "https://video.example.com/vid_1",
            "filename": "file.mp4",
            "posters": [
                {
                    "id": "vid_1f002.jpg",
                    "url": "https://static.wixstatic.com/media/vid_1f002.jpg",
                    **_ADDRESSED,
                    "format": "jpg",
                    "quality": "720p",
                }
            ],
            "resolutions": [
                {
                    "url": "https://video.example.com/vid_1/720p.mp4",
                    "height": 720,
                    "width": 1280,
                    "format": "mp4",
                    "quality": "720p",
                    "filename": "720p.mp4",
                }
            ],
        },
        "durationInMillis": 5000,
    },
}
TEXT: dict[str, Any] = {
    "title": "A text",
    "sortOrder": 1,
    "text": {"html": "<b>h</b>", "css": {"width": 420}, "editorHtml": "<b>h</b>", "editorFontId": "font-1"},
}
SHORT: dict[str, Any] = {"text": {"html": "<p>1</p>"}}

BODIES: tuple[dict[str, Any], ...] = (IMAGE, VIDEO, TEXT)
"""The items as a client sends them, one of each medium."""

TYPES = ("IMAGE", "VIDEO", "TEXT")
ITEMS: tuple[dict[str, Any], ...] = tuple(
    {"id": ITEM_ID, "type": type_, **body, "createdDate": DATE, "updatedDate": DATE}
    for type_, body in zip(TYPES, BODIES, strict=True)
)
"""The items as events and joined records have them."""

GALLERY: dict[str, Any] = {
    "id": GALLERY_ID,
    "name": "Holidays",
    "totalItems": 3,
    "sortOrder": 7.5,
    "createdDate": DATE,
    "items": [],
}
"""The gallery as events have it."""

NAMELESS: dict[str, Any] = {key: value for key, value in GALLERY.items() if key != "name"}

_AT_GALLERY: dict[str, Any] = {"galleryId": GALLERY_ID}
_ITEM_AT: dict[str, Any] = {"galleryId": GALLERY_ID, "itemId": ITEM_ID}
_CLEARED: dict[str, Any] = {"id": OTHER_ITEM_ID, "title": None, "tags": None}
_PATCHES: list[dict[str, Any]] = [{"id": ITEM_ID, **IMAGE}, VIDEO, TEXT, _CLEARED]

COMMANDS: dict[str, dict[str, dict[str, Any]]] = {
    "CreateGallery": {
        "empty": {},
        "with-items": {
            "galleryId": GALLERY_ID,
            "gallery": {"name": "Holidays", "sortOrder": 7.5, "items": list(BODIES)},
        },
        "clone": {"cloneFromGalleryId": OTHER_GALLERY_ID, "gallery": {"name": None}},
    },
    "UpdateGallery": {
        "head": {**_AT_GALLERY, "gallery": {"name": "Winter", "sortOrder": -1}, "expectedSequence": 4},
        "cleared-name": {**_AT_GALLERY, "gallery": {"name": None}, "expectedSequences": [4, 5]},
        "items": {**_AT_GALLERY, "gallery": {"items": _PATCHES}},
    },
    **{
        name: {
            "plain": _AT_GALLERY,
            "other-spelling": {"galleryId": GALLERY_ID.upper().replace("-", ""), "expectedSequence": None},
        }
        for name in ("DeleteGallery", "ClearGallery", "RebalanceItems", "RepublishGallery")
    },
    "RestoreGallery": {
        "sequence": {**_AT_GALLERY, "sequence": 4, "expectedSequences": [9]},
        "time": {**_AT_GALLERY, "time": "2026-01-01T00:00:00.000Z"},
        "new-gallery": {"fromGalleryId": GALLERY_ID, "sequence": 4},
    },
    "CreateItems": {
        "one": {**_AT_GALLERY, "items": [SHORT]},
        "every-medium": {**_AT_GALLERY, "items": list(BODIES)},
        "at-the-end": {**_AT_GALLERY, "items": [SHORT], "to": "end"},
    },
    "UpdateItem": {
        "title": {**_ITEM_AT, "item": {"title": "New", "description": None, "link": None}, "expectedSequence": 4},
        "image": {**_ITEM_AT, "item": IMAGE},
        "video": {**_ITEM_AT, "item": VIDEO},
        "text": {**_ITEM_AT, "item": TEXT},
    },
    "MoveItem": {
        "before": {**_ITEM_AT, "before": OTHER_ITEM_ID},
        "after": {**_ITEM_AT, "after": OTHER_ITEM_ID, "expectedSequence": 4},
        "start": {**_ITEM_AT, "to": "start"},
        "end": {**_ITEM_AT, "to": "end"},
    },
    "MoveItems": {
        "before": {**_AT_GALLERY, "itemIds": [ITEM_ID], "before": OTHER_ITEM_ID, "expectedSequences": [4, 5]},
        "after": {**_AT_GALLERY, "itemIds": [ITEM_ID], "after": OTHER_ITEM_ID, "expectedSequence": 4},
        "start": {**_AT_GALLERY, "itemIds": [ITEM_ID, OTHER_ITEM_ID], "to": "start"},
        "end": {**_AT_GALLERY, "itemIds": [OTHER_ITEM_ID, ITEM_ID], "to": "end"},
    },
    "DeleteItems": {"two": {**_AT_GALLERY, "itemIds": [ITEM_ID, OTHER_ITEM_ID]}},
}
"""The data of commands as producers send it: by the command's name, then by the example's name."""
