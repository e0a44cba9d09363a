"""Answers: how they are written, and their shapes for the OpenAPI document (wire contract, sections 2 and 5)."""

from typing import Any

import orjson
from starlette.responses import Response

from schemas.base import WireModel
from schemas.gallery import Gallery
from schemas.item import Item


class JsonAnswer(Response):
    """An object as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content)


class GalleryAnswer(WireModel):
    """One gallery."""

    gallery: Gallery


class GalleriesAnswer(WireModel):
    """A page of a site's galleries."""

    total_galleries: int
    galleries: list[Gallery]


class ItemAnswer(WireModel):
    """One item."""

    item: Item


class ItemsAnswer(WireModel):
    """A page of a gallery's items."""

    items: list[Item]


class FailureDetails(WireModel):
    """Exactly one of the two, or neither for a fault that is not the client's."""

    application_error: dict[str, Any] | None = None
    validation_error: dict[str, Any] | None = None


class FailureAnswer(WireModel):
    """Any failure (wire contract, section 5)."""

    message: str
    details: FailureDetails
