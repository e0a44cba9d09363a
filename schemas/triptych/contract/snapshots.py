"""Snapshots: the state of a gallery published again on the events topic, for read models that lost events.

A snapshot is `Started`, one `Item` per item in display order, and `Ended`, all on the gallery's partition with no
event of the gallery between them. It describes the gallery as it is at `sequence` and takes no sequence number of
its own; whoever needs no repair passes over it.

Parts may come more than once, and repeats may come late, also between the parts of another snapshot: a change of owner
does that. A repeat is the same, byte for byte, so that snapshot id and position identify an item. A snapshot is whole
when `Started`, `Ended` and all positions below `totalItems` have come. One that never becomes whole is followed by
another, under its own id. `triptych.client` follows these rules.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from triptych.contract.base import Guid, WireModel
from triptych.contract.codec.cloudevents import Reason, Undecodable
from triptych.contract.gallery import Gallery
from triptych.contract.item import Item
from triptych.contract.limits import EVENT_BYTES_MAX

SNAPSHOT_TYPE_PREFIX = "triptych.snapshot.v1."
"""A record's CloudEvents type is this and its `part`."""

Sequence = Annotated[int, Field(ge=0)]


class _Part(WireModel):
    snapshot_id: Annotated[str, Field(min_length=1)]
    gallery_id: Guid
    sequence: Sequence


class SnapshotStarted(_Part):
    """A snapshot begins; `gallery` is its head and says how many items follow."""

    part: Literal["Started"] = "Started"
    gallery: Gallery


class SnapshotItem(_Part):
    """An item of the gallery; `position` counts from 0 in display order."""

    part: Literal["Item"] = "Item"
    position: Annotated[int, Field(ge=0)]
    item: Item


class SnapshotEnded(_Part):
    """All items have come: the gallery has these and no others."""

    part: Literal["Ended"] = "Ended"
    total_items: Annotated[int, Field(ge=0)]


SnapshotPart = SnapshotStarted | SnapshotItem | SnapshotEnded
SNAPSHOT_PARTS: tuple[type[WireModel], ...] = (SnapshotStarted, SnapshotItem, SnapshotEnded)
_PARTS: TypeAdapter[SnapshotPart] = TypeAdapter(Annotated[SnapshotPart, Field(discriminator="part")])


def snapshot_started(snapshot_id: str, gallery_id: str, sequence: int, gallery: Mapping[str, Any]) -> dict[str, Any]:
    """The first part, from the head's wire form."""
    return _part("Started", snapshot_id, gallery_id, sequence, gallery={**gallery, "items": []})


def snapshot_item(
    snapshot_id: str, gallery_id: str, sequence: int, position: int, item: Mapping[str, Any]
) -> dict[str, Any]:
    """One item, from its wire form."""
    return _part("Item", snapshot_id, gallery_id, sequence, position=position, item=item)


def snapshot_ended(snapshot_id: str, gallery_id: str, sequence: int, total_items: int) -> dict[str, Any]:
    """The last part."""
    return _part("Ended", snapshot_id, gallery_id, sequence, totalItems=total_items)


def is_snapshot(event_type: str | None) -> bool:
    """Whether a record of the events topic with this CloudEvents type is a part of a snapshot."""
    return event_type is not None and event_type.startswith(SNAPSHOT_TYPE_PREFIX)


def decode_snapshot(value: bytes | None) -> SnapshotPart:
    """Read a part. Raises Undecodable."""
    if value is None:
        raise Undecodable(Reason.TOMBSTONE, "a snapshot's part has a value")
    if len(value) > EVENT_BYTES_MAX:
        raise Undecodable(Reason.TOO_LARGE, f"a snapshot's part has at most {EVENT_BYTES_MAX} bytes, uncompressed")
    try:
        return _PARTS.validate_python(orjson.loads(value), by_name=False)
    except orjson.JSONDecodeError as error:
        raise Undecodable(Reason.NOT_JSON, str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Undecodable(Reason.BAD_DATA, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _part(part: str, snapshot_id: str, gallery_id: str, sequence: int, **content: Any) -> dict[str, Any]:
    return {"part": part, "snapshotId": snapshot_id, "galleryId": gallery_id, "sequence": sequence, **content}
