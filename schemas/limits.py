"""How large commands and events may be: whatever is accepted must fit all that is made of it, in every store and topic.

A topic's limit counts compressed bytes, so a record just below it can hold gigabytes. These limits count bytes as they
are read.
"""

from collections.abc import Iterable

from schemas.item import ITEM_BYTES_MAX

COMMAND_BYTES_MAX = 8 * 1024 * 1024
"""Key, value and headers of a command. A command that waits is one document, of which MongoDB takes 16 MiB."""

EVENT_BYTES_MAX = 2 * ITEM_BYTES_MAX
"""The value of an event or of a snapshot's part: an item and what surrounds it. The joined records and deliveries that
follow from it fit a message of 1 MB even if nothing can be compressed."""

PATH_MAX = 500
"""Characters of a field's path in a violation: keys of free-form objects are as long as their sender likes."""


def record_bytes(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> int:
    """Bytes of a record as it is read."""
    return len(key or b"") + len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers)
