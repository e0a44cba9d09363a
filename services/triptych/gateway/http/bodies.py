"""Reads request bodies, bounded, and validates them from their bytes."""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from triptych.contract.codec.exact import validate_exactly
from triptych.contract.violations import violations_of
from triptych.gateway.http.decoding import PART_BYTES, decoder_of
from triptych.gateway.http.errors import ApplicationFailure, InvalidRequest

ModelT = TypeVar("ModelT", bound=BaseModel)
_LENGTH_DIGITS_MAX = 18


async def read_body(request: Request, limit: int) -> bytearray:
    """The body of a request that holds JSON, or nothing.

    Raises:
        Refused: 413 for a body of more than `limit` bytes, compressed or not, however it is sent; 415 for one that is
            not JSON, or is encoded in another way than gzip.
        Invalid: it says that it is gzip, and is not.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > _LENGTH_DIGITS_MAX or int(declared) > limit):
        raise _too_large(limit)
    body, received, decoder = bytearray(), 0, decoder_of(request.headers.getlist("content-encoding"))
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise _too_large(limit)
        for part in decoder.parts_of(chunk):
            if len(body) + len(part) > limit:
                raise _too_large(limit)
            body += part
            if len(part) == PART_BYTES:
                await asyncio.sleep(0)  # a small body may decompress to a large one: others have their turn
    decoder.check_end()
    if body and not _is_json(request.headers.get("content-type")):
        raise ApplicationFailure(415, "INVALID_ARGUMENT", "the body must be application/json")
    return body


def parse_body(kind: type[ModelT], body: bytearray) -> ModelT:
    """The body as a model.

    Raises:
        Invalid: with every violation.
    """
    try:
        return validate_exactly(kind, body)
    except ValidationError as error:
        raise InvalidRequest(violations_of(error)) from None


def make_command(kind: type[ModelT], **fields: object) -> ModelT:
    """A command from the parts of a request.

    Raises:
        Invalid: they do not go together.
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
