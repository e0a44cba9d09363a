"""Reads request bodies, bounded, and validates them from their bytes."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from schemas.exact import validate_exactly
from schemas.violations import violations_of
from services.gateway.errors import Invalid, Refused

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read_body(request: Request, limit: int) -> bytearray:
    """The body of a request that holds JSON, or nothing.

    Raises:
        Refused: 413 for a body of more than `limit` bytes, however it is sent; 415 for one that is not JSON.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise _too_large(limit)
        body += chunk
    if body and not _is_json(request.headers.get("content-type")):
        raise Refused(415, "INVALID_ARGUMENT", "the body must be application/json")
    return body


def parse_body(kind: type[ModelT], body: bytearray) -> ModelT:
    """The body as a model.

    Raises:
        Invalid: with every violation.
    """
    try:
        return validate_exactly(kind, body)
    except ValidationError as error:
        raise Invalid(violations_of(error)) from None


def make_command(kind: type[ModelT], **fields: object) -> ModelT:
    """A command from the parts of a request.

    Raises:
        Invalid: they do not go together.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        raise Invalid(violations_of(error)) from None


def _is_json(content_type: str | None) -> bool:
    if content_type is None:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _too_large(limit: int) -> Refused:
    return Refused(413, "RESOURCE_EXHAUSTED", f"the body must be at most {limit} bytes", {"threshold": limit})
