"""Decodes the content encoding of request bodies (RFC 9110, section 8.4), in chunks of bounded size."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import Violation
from triptych.gateway.http.errors import ApplicationFailure, InvalidRequest

CHUNK_BYTES = 256 * 1024
_GZIP = zlib.MAX_WBITS | 16


class Decoder(Protocol):
    """Decodes one body."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes of the body, into chunks of at most `CHUNK_BYTES`. Raises InvalidRequest."""

    def check_end(self) -> None:
        """Raises InvalidRequest if the body cannot end here."""


class _Plain:
    def decode(self, data: bytes) -> Iterator[bytes]:
        yield data

    def check_end(self) -> None:
        pass


class _Gunzip:
    """Decodes one or more gzip members in sequence (RFC 1952, section 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._is_inside = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        chunk = b""
        # After a full chunk, zlib may have more output although it has consumed all of the input.
        while data or len(chunk) == CHUNK_BYTES:
            self._is_inside = True
            try:
                chunk = self._member.decompress(data, CHUNK_BYTES)
            except zlib.error:
                raise _not_gzip("must be gzip, as its Content-Encoding says") from None
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._member.unused_data
                self._member, self._is_inside = zlib.decompressobj(_GZIP), False
                yield chunk
                chunk = b""
            elif chunk:
                yield chunk

    def check_end(self) -> None:
        if self._is_inside:
            raise _not_gzip("must be whole: the gzip data ends too early")


def decoder_of(encodings: Sequence[str]) -> Decoder:
    """The decoder of a body with these `Content-Encoding` header fields.

    Raises:
        ApplicationFailure: 415 for an unknown encoding; it names the known ones (RFC 9110, section 15.5.16).
    """
    names = [name for field in encodings for text in field.split(",") if (name := text.strip().lower())]
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
