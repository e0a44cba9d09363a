"""Reads the JSON documents of a file: one on each line, or documents of several lines each."""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from pydantic_core import from_json

from triptych.cli.transfer.documents import UnknownEntry
from triptych.contract.codec.exact import read_marked
from triptych.kit.failures import StartRefused

DOCUMENT_BYTES_MAX = 256 * 1024 * 1024
"""A page of Wix's API has at most 1,000 items, of up to 256 KiB each."""
_SHOWN_MAX = 1_000
_SPACE = re.compile(r"\s*")
_FREE_FORM = (b"exif", b"css")
_MARK = b"\xef\xbb\xbf"
"""Some editors write it at the beginning of a file."""


def documents(file: BinaryIO) -> Iterator[Any]:
    """The documents in order; an UnknownEntry for a line that is not JSON.

    Raises:
        StartRefused: a line, or a file that has documents of several lines, is too large.
    """
    is_first = True
    while raw := file.readline(DOCUMENT_BYTES_MAX + 1):
        raw = raw.removeprefix(_MARK) if is_first else raw
        if not raw.strip():
            continue
        try:
            yield _parsed(_limited(raw))
        except ValueError as error:
            if is_first:
                yield from _long_documents(_limited(raw + file.read(DOCUMENT_BYTES_MAX + 1 - len(raw))))
                return
            yield _unreadable(raw, error)
        is_first = False


def _long_documents(raw: bytes) -> Iterator[Any]:
    """The documents of a text. One document may have several lines."""
    try:
        text = raw.decode()
        position = 0
        while (position := _end_of_space(text, position)) < len(text):
            _, end = json.JSONDecoder().raw_decode(text, position)
            yield _parsed(text[position:end].encode())
            position = end
    except (ValueError, RecursionError) as error:
        yield _unreadable(raw, error)


def _end_of_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _parsed(raw: bytes) -> Any:
    """The value of a JSON text. Values that free-form objects cannot keep exactly are marked, so they are refused."""
    value = from_json(raw)
    marked = read_marked(raw) if any(name in raw for name in _FREE_FORM) else None
    return value if marked is None else marked


def _limited(raw: bytes) -> bytes:
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise StartRefused(f"A JSON document has more than {DOCUMENT_BYTES_MAX // 1024**2} MiB; split it.")
    return raw


def _unreadable(raw: bytes, error: Exception) -> UnknownEntry:
    return UnknownEntry(raw[:_SHOWN_MAX].decode(errors="replace"), f"is not JSON: {error}")
