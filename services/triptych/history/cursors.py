"""Encodes opaque cursors of the history: a sequence in a list of events, or a position among the items of a moment."""

import math
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

_EVENTS, _ITEMS = struct.Struct(">Bq"), struct.Struct(">Bdq")
_EVENTS_VERSION, _ITEMS_VERSION = 2, 3


class InvalidCursor(ValueError):
    """A text that this module has not written."""


class ItemPosition(NamedTuple):
    """A row among those of a gallery in display order; rows of one sort order are in descending sequence.

    The sequence is 0 for a position behind all rows of the sort order.
    """

    sort_order: float
    sequence: int


def write_events_cursor(sequence: int) -> str:
    """The cursor of the page that follows the event with this sequence."""
    return urlsafe_b64encode(_EVENTS.pack(_EVENTS_VERSION, sequence)).decode()


def read_events_cursor(cursor: str) -> int:
    """The sequence that a cursor's page follows. Raises InvalidCursor."""
    try:
        version, sequence = _EVENTS.unpack(urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, struct.error):
        raise InvalidCursor("the cursor is not one of this server's") from None
    if version != _EVENTS_VERSION or sequence < 1 or write_events_cursor(sequence) != cursor:
        raise InvalidCursor("the cursor is not one of this server's")
    return int(sequence)


def write_items_cursor(position: ItemPosition) -> str:
    """The cursor of the page that follows this position."""
    return urlsafe_b64encode(_ITEMS.pack(_ITEMS_VERSION, *position)).decode()


def read_items_cursor(cursor: str) -> ItemPosition:
    """The position that a cursor's page follows. Raises InvalidCursor."""
    try:
        version, sort_order, sequence = _ITEMS.unpack(urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, struct.error):
        raise InvalidCursor("the cursor is not one of this server's") from None
    position = ItemPosition(sort_order, sequence)
    is_ours = math.isfinite(sort_order) and sequence >= 0 and write_items_cursor(position) == cursor
    if version != _ITEMS_VERSION or not is_ours:
        raise InvalidCursor("the cursor is not one of this server's")
    return position
