"""Undoes the content encoding of request bodies (RFC 9110, section 8.4), a bounded part at a time."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import Violation
from triptych.gateway.http.errors import ApplicationFailure, InvalidRequest

PART_BYTES = 256 * 1024
_GZIP = zlib.MAX_WBITS | 16


class Decoder(Protocol):
    """Of one body."""

    def parts_of(self, chunk: bytes) -> Iterator[bytes]:
        """What the next bytes of the body stand for, in parts of at most `PART_BYTES`. Raises Invalid."""

    def check_end(self) -> None:
        """Raises Invalid if the body cannot end here."""


class _Plain:
    def parts_of(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def check_end(self) -> None:
        pass


class _Gunzip:
    """One or several gzip members, one after the other (RFC 1952, section 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._is_inside = False

    def parts_of(self, chunk: bytes) -> Iterator[bytes]:
        part = b""
        # A full part may leave some behind although all of the input is taken.
        while chunk or len(part) == PART_BYTES:
            self._is_inside = True
            try:
                part = self._member.decompress(chunk, PART_BYTES)
            except zlib.error:
                raise _not_gzip("must be gzip, as its Content-Encoding says") from None
            chunk = self._member.unconsumed_tail
            if self._member.eof:
                chunk = self._member.unused_data
                self._member, self._is_inside = zlib.decompressobj(_GZIP), False
                yield part
                part = b""
            elif part:
                yield part

    def check_end(self) -> None:
        if self._is_inside:
            raise _not_gzip("must be whole: the gzip data ends too early")


def decoder_of(encodings: Sequence[str]) -> Decoder:
    """The decoder of a body with these `Content-Encoding` header fields.

    Raises:
        Refused: 415 for one that is not known, telling which are (RFC 9110, section 15.5.16).
    """
    names = [name for field in encodings for part in field.split(",") if (name := part.strip().lower())]
    names = [name for name in names if name != "identity"]
    if not names:
        return _Plain()
    if names not in (["gzip"], ["x-gzip"]):
        raise ApplicationFailure(
            415,
            "INVALID_ARGUMENT",
            "the body must be plain or gzip",
            {"expected": ["gzip", "identity"]},
            headers={"Accept-Encoding": "gzip, identity"},
        )
    return _Gunzip()


def _not_gzip(description: str) -> InvalidRequest:
    return InvalidRequest(
        [Violation(field="", description=description, violated_rule=ViolatedRule.FORMAT, data={"expected": "gzip"})]
    )
