"""Encodes opaque cursors into a gallery's items: sort orders, which stay valid when items are added and deleted."""

import math
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

_FORMAT = struct.Struct(">Bd")
_VERSION = 1


class InvalidCursor(ValueError):
    """A text that `write_cursor` has not written."""


def write_cursor(sort_order: float) -> str:
    """The cursor of the page that follows the item with this sort order."""
    return urlsafe_b64encode(_FORMAT.pack(_VERSION, sort_order)).decode()


def read_cursor(cursor: str) -> float:
    """The sort order that a cursor's page follows. Raises InvalidCursor."""
    try:
        version, sort_order = _FORMAT.unpack(urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, struct.error):
        raise InvalidCursor("the cursor is not one of this server's") from None
    if version != _VERSION or not math.isfinite(sort_order) or write_cursor(sort_order) != cursor:
        raise InvalidCursor("the cursor is not one of this server's")
    return float(sort_order)
