"""Turns the fields of a log line into JSON values of bounded size, without secrets."""

from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

from triptych.kit.logs.loggers import error_text
from triptych.kit.logs.masking import MASK, Masker

TEXT_MAX = 2_000
TRACEBACK_MAX = 16_000
"""Characters of a traceback in a text line. Its end says most, so its beginning is cut."""
ENTRIES_MAX = 50
"""Entries of a list or an object. The rest is left out."""
DEPTH_MAX = 10
"""Levels of nesting: enough for the frames of an exception with several causes."""
_INTEGER_MAX = 2**63


def plain(value: object, masker: Masker, depth: int = 0) -> object:
    """A value that JSON can express, with bounded texts, lists and depth, and without secrets."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and not isinstance(value, Enum):
        return value if abs(value) < _INTEGER_MAX else str(value)
    if depth < DEPTH_MAX and isinstance(value, Mapping):
        return plain_fields(value, masker, depth)
    if depth < DEPTH_MAX and isinstance(value, list | tuple | Set):
        entries = sorted(value, key=repr) if isinstance(value, Set) else value
        return [plain(entry, masker, depth + 1) for entry in entries[:ENTRIES_MAX]]
    return text_of(value, masker)


def plain_fields(fields: Mapping[Any, Any], masker: Masker, depth: int = 0) -> dict[str, object]:
    """The same for an object. A field whose name says that it has a secret is masked whatever its value."""
    found: dict[str, object] = {}
    for name in list(fields)[:ENTRIES_MAX]:
        key, value = text_of(name, masker), fields[name]
        is_secret = value is not None and masker.is_secret(key)
        found[key] = MASK if is_secret else plain(value, masker, depth + 1)
    return found


def text_of(value: object, masker: Masker) -> str:
    """The text of a value, bounded, and without half of a surrogate pair, which UTF-8 cannot express."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value[: 4 * TEXT_MAX]).decode(errors="backslashreplace")
    text = error_text(value) if isinstance(value, BaseException) else str(value)
    # Masked before it is cut: half of a secret would not be recognised.
    text = masker.mask(text[: 8 * TEXT_MAX])
    text = text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]} (cut)"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
