"""Bodies as the client sends them (contract, section 2.3), and models and records made from them."""

from datetime import UTC, datetime
from typing import Any

import orjson

from triptych.contract.commands import COMMAND_TYPE_PREFIX
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item, NewItem

GALLERY_ID = "4937b26c-1d52-4b3c-9c7f-0a2f6d1b8e11"
ITEM_ID = "a045b201-7a0e-4f0e-8a51-2f1c3b4d5e6f"
OTHER_ID = "17c786c6-0b1a-4c2d-8e3f-405162738495"
NOW = datetime(2024, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)

IMAGE_ITEM: dict[str, Any] = {
    "title": "i1",
    "sortOrder": 1,
    "image": {
        "imageInfo": {
            "id": "abc~mv2.jpg",
            "height": 100,
            "width": 200,
            "altText": "my pic.jpg",
            "filename": "my pic.jpg",
            "url": "wix:image://v1/abc~mv2.jpg/my%20pic.jpg#originWidth=200&originHeight=100",
        },
        "focalPoint": {"x": 0.9, "y": 0.1},
        "quality": 90,
        "unsharpMasking": {"amount": 1, "radius": 2, "threshold": 0.5},
        "exif": {"Artist": "B"},
    },
    "tags": {"values": ["t"]},
    "link": {"text": "T", "url": "https://u"},
}
VIDEO_ITEM: dict[str, Any] = {
    "title": "v1",
    "video": {
        "type": "WIX_MEDIA",
        "videoInfo": {
            "id": "vid_1",
            "filename": "file.mp4",
            "posters": [{"id": "vid_1f002.jpg", "height": 720, "width": 1280}],
        },
        "durationInMillis": 5000,
    },
}
VIMEO_ITEM: dict[str, Any] = {
    "title": "v2",
    "video": {"type": "VIMEO", "videoInfo": {"url": "https://vimeo.com/123456789"}},
}
TEXT_ITEM: dict[str, Any] = {"title": "t1", "text": {"html": "<b>h</b>", "css": {"width": 420}}}
GALLERY: dict[str, Any] = {"name": "N", "sortOrder": 3.5, "items": [IMAGE_ITEM, VIDEO_ITEM, VIMEO_ITEM, TEXT_ITEM]}

CREATE_ITEM: dict[str, Any] = {"galleryId": GALLERY_ID, "items": [IMAGE_ITEM]}


def complete_item(body: dict[str, Any] = IMAGE_ITEM, item_id: str = ITEM_ID) -> Item:
    """An item as the server stores it."""
    new = NewItem.model_validate(body)
    fields = {name: getattr(new, name) for name in NewItem.model_fields if name != "sort_order"}
    return Item(id=item_id, sort_order=new.sort_order or 0.0, created_date=NOW, updated_date=NOW, **fields)


def complete_gallery(**fields: Any) -> Gallery:
    """A gallery as the server stores it."""
    return Gallery(
        **{"id": GALLERY_ID, "name": "N", "total_items": 2, "sort_order": 1.5, "created_date": NOW, **fields}
    )


def command_headers(name: str = "CreateItems", **attributes: str) -> list[tuple[str, bytes]]:
    """Headers of a command in binary mode."""
    given = {"specversion": "1.0", "id": "c-1", "type": COMMAND_TYPE_PREFIX + name, "source": "test", **attributes}
    return [(f"ce_{attribute}", value.encode()) for attribute, value in given.items()]


def structured(name: str = "CreateItems", **attributes: Any) -> bytes:
    """A command in structured mode."""
    type_ = COMMAND_TYPE_PREFIX + name
    given = {"specversion": "1.0", "id": "c-1", "type": type_, "source": "test", "data": CREATE_ITEM, **attributes}
    return orjson.dumps({attribute: value for attribute, value in given.items() if value is not None})
