"""Reads request bodies within a size limit, and validates them from their bytes."""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from triptych.contract.codec.exact import validate_exactly
from triptych.contract.violations import violations_of
from triptych.gateway.http.decoding import CHUNK_BYTES, decoder_of
from triptych.gateway.http.errors import ApplicationFailure, InvalidRequest

ModelT = TypeVar("ModelT", bound=BaseModel)
_LENGTH_DIGITS_MAX = 18


async def read_body(request: Request, limit: int) -> bytearray:
    """Read the body of a request, which is JSON or empty.

    Raises:
        ApplicationFailure: 413 for a body of more than `limit` bytes, compressed or not, with or without a declared
            length; 415 for a body that is not JSON, or has another content encoding than gzip.
        InvalidRequest: the content encoding is gzip, and the body is not valid gzip.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > _LENGTH_DIGITS_MAX or int(declared) > limit):
        raise _too_large(limit)
    body, received, decoder = bytearray(), 0, decoder_of(request.headers.getlist("content-encoding"))
    async for data in request.stream():
        received += len(data)
        if received > limit:
            raise _too_large(limit)
        for chunk in decoder.decode(data):
            if len(body) + len(chunk) > limit:
                raise _too_large(limit)
            body += chunk
            if len(chunk) == CHUNK_BYTES:
                await asyncio.sleep(0)  # a small body may decompress to a large one: let other requests run
    decoder.check_end()
    if body and not _is_json(request.headers.get("content-type")):
        raise ApplicationFailure(415, "INVALID_ARGUMENT", "the body must be application/json")
    return body


def parse_body(kind: type[ModelT], body: bytearray) -> ModelT:
    """The body as a model.

    Raises:
        InvalidRequest: the body breaks rules; it has every violation.
    """
    try:
        return validate_exactly(kind, body)
    except ValidationError as error:
        raise InvalidRequest(violations_of(error)) from None


def make_command(kind: type[ModelT], **fields: object) -> ModelT:
    """A command with these fields.

    Raises:
        InvalidRequest: the fields contradict each other.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        raise InvalidRequest(violations_of(error)) from None


def _is_json(content_type: str | None) -> bool:
    if content_type is None:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _too_large(limit: int) -> ApplicationFailure:
    return ApplicationFailure(
        413, "RESOURCE_EXHAUSTED", f"the body must be at most {limit} bytes", {"threshold": limit}
    )
