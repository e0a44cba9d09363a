"""Reads the records of the events topic as the contract's models."""

from typing import TypeAlias

from pydantic import ValidationError

from triptych.contract.codec.cloudevents import Headers, Reason, Undecodable
from triptych.contract.codec.events import decode_event
from triptych.contract.domain_event import (
    EVENTS,
    EventHead,
    GalleryCreated,
    GalleryDeleted,
    GalleryUpdated,
    ItemCreated,
    ItemDeleted,
    ItemUpdated,
)
from triptych.contract.snapshots import SnapshotEnded, SnapshotItem, SnapshotStarted, decode_snapshot, is_snapshot

SNAPSHOT_MODELS = (SnapshotStarted, SnapshotItem, SnapshotEnded)
SnapshotRecord: TypeAlias = SnapshotStarted | SnapshotItem | SnapshotEnded

GalleryItemCreated = ItemCreated
GalleryItemUpdated = ItemUpdated
GalleryItemDeleted = ItemDeleted
"""The contract's models of item events, by the names that their types have on the wire."""

__all__ = [
    "SNAPSHOT_MODELS",
    "GalleryCreated",
    "GalleryDeleted",
    "GalleryItemCreated",
    "GalleryItemDeleted",
    "GalleryItemUpdated",
    "GalleryUpdated",
    "SnapshotRecord",
    "decode",
]


def decode(value: bytes | None, headers: Headers) -> EventHead | SnapshotRecord:
    """The event or snapshot record. Raises Undecodable, whatever the bytes are."""
    event_type = next((text for name, text in headers if name == "ce_type"), None)
    if is_snapshot((event_type or b"").decode(errors="replace")):
        return decode_snapshot(value)
    event = decode_event(value)
    try:
        return EVENTS[event.event_type].model_validate_json(value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Undecodable(Reason.BAD_DATA, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
