"""Models of the lines of an export: each gallery, followed by its items in display order, one JSON object a line.

A reader ignores fields that it does not know, and refuses a `format` that it does not know. An import reads the same
lines; `refused`, which it adds to the lines that it refuses, is ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from triptych.contract.base import Guid, WireModel
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item

EXPORT_FORMAT = "triptych.export.v1"


class GalleryLine(WireModel):
    """A gallery at `sequence`, the number of its last event; `totalItems` lines of items follow."""

    format: Literal["triptych.export.v1"] = EXPORT_FORMAT
    kind: Literal["gallery"] = "gallery"
    site_id: str
    sequence: Annotated[int, Field(ge=1)]
    gallery: Gallery


class ItemLine(WireModel):
    """An item of the gallery whose line came last before it."""

    kind: Literal["item"] = "item"
    gallery_id: Guid
    item: Item


def gallery_line(site_id: str, sequence: int, gallery: dict[str, Any]) -> dict[str, Any]:
    """The line of a gallery, from its wire form."""
    return {"format": EXPORT_FORMAT, "kind": "gallery", "siteId": site_id, "sequence": sequence, "gallery": gallery}


def item_line(gallery_id: str, item: dict[str, Any]) -> dict[str, Any]:
    """The line of an item, from its wire form."""
    return {"kind": "item", "galleryId": gallery_id, "item": item}
