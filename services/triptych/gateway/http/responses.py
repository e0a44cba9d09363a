"""Responses: sends them as JSON, and defines their shapes for the OpenAPI document (contract, sections 2 and 5)."""

from http import HTTPStatus
from typing import Any, ClassVar, TypeAlias

import orjson
from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from triptych.contract.base import Guid, ViolatedRule, WireModel
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item

BLOCK_BYTES = 64 * 1024

Responses: TypeAlias = dict[int | str, dict[str, Any]]


class JsonAnswer(Response):
    """An object as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; a long body in blocks, each after the server has passed on the one before."""
        if len(self.body) <= BLOCK_BYTES:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, len(body), BLOCK_BYTES):
            block, more = bytes(body[start : start + BLOCK_BYTES]), start + BLOCK_BYTES < len(body)
            await send({"type": "http.response.body", "body": block, "more_body": more})


class BytesAnswer(JsonAnswer):
    """Bytes of unknown content, which no browser must interpret."""

    media_type = "application/octet-stream"
    DESCRIBED: ClassVar[Responses] = {
        200: {
            "description": "The bytes",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    }

    def __init__(self, content: bytes) -> None:
        super().__init__(content, headers={"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"})

    def render(self, content: Any) -> bytes:
        """The body."""
        return bytes(content)


class GalleryAnswer(WireModel):
    """One gallery."""

    gallery: Gallery


class GalleriesAnswer(WireModel):
    """A page of a site's galleries; `next_cursor` is there only if the request pages by cursor and more follow.

    In a search by name, counting `total_galleries` ends at 1,000.
    """

    total_galleries: int
    galleries: list[Gallery]
    next_cursor: str | None = None


class ItemAnswer(WireModel):
    """One item."""

    item: Item


class ItemsAnswer(WireModel):
    """A page of a gallery's items; `next_cursor` is there only if the request pages by cursor and more items follow."""

    items: list[Item]
    next_cursor: str | None = None


class GalleryIdAnswer(WireModel):
    """The gallery that was deleted."""

    gallery_id: Guid


class ItemIdAnswer(WireModel):
    """The item that was deleted."""

    item_id: Guid


class ItemIdsAnswer(WireModel):
    """The items that were deleted, or that have another place now."""

    item_ids: list[Guid]


class ApplicationError(WireModel):
    """Why a valid request cannot be carried out; `code` is one of Wix's standard codes."""

    code: str
    description: str
    data: dict[str, Any]


class FieldViolation(WireModel):
    """A rule that the request breaks; `field` is a path in the request, empty for the whole body."""

    field: str
    description: str
    violated_rule: ViolatedRule
    data: dict[str, Any] | None = None


class ValidationFailure(WireModel):
    """Every known violation of the request."""

    field_violations: list[FieldViolation]


class FailureDetails(WireModel):
    """An application error or a validation error; neither for a fault that is not the client's."""

    application_error: ApplicationError | None = None
    validation_error: ValidationFailure | None = None


class FailureAnswer(WireModel):
    """Any failure (contract, section 5)."""

    message: str
    details: FailureDetails


class BulkItemMetadata(WireModel):
    """The result for one item of a bulk request: `id` if it succeeded, `error` if not."""

    original_index: int
    success: bool
    id: Guid | None = None
    error: ApplicationError | None = None


class BulkItemResult(WireModel):
    """One item of a bulk request."""

    item_metadata: BulkItemMetadata


class BulkMetadata(WireModel):
    """How many items succeeded and failed."""

    total_successes: int
    total_failures: int


class BulkAnswer(WireModel):
    """The result for each item, in the order of the request."""

    results: list[BulkItemResult] = Field(default_factory=list)
    bulk_action_metadata: BulkMetadata


def failures(*statuses: int) -> Responses:
    """The `responses` of an endpoint that may fail with these statuses."""
    return {status: {"model": FailureAnswer, "description": HTTPStatus(status).phrase} for status in statuses}


COMMON_FAILURES = failures(400, 401, 403, 429, 500, 503)
"""The failures of every endpoint."""

READ: Responses = {304: {"description": "The client has it already (If-None-Match)"}}
WRITE = failures(409, 412, 422, 504)
WITH_BODY = failures(413, 415)
