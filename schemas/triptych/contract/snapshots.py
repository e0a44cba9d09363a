"""Snapshots: records that publish the state of a gallery again on the events topic, for read models that lost events.

A snapshot is `Started`, one `Item` per item in display order, and `Ended`. All are on the gallery's partition, with no
event of the gallery between them. A snapshot describes the gallery at `sequence` and has no sequence number of its
own. A reader that needs no repair ignores it.

After a change of owner, records may be repeated, and a repeat may come late, even between the records of another
snapshot. A repeat is equal byte for byte, so snapshot id and position identify an item. A snapshot is complete when
`Started`, `Ended` and all positions below `totalItems` have come. A snapshot that stays incomplete is followed by
another with another id. `triptych.client` implements these rules.
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
"""The prefix of a snapshot record's CloudEvents type; the value of its field `part` follows."""

Sequence = Annotated[int, Field(ge=0)]


class _SnapshotFields(WireModel):
    snapshot_id: Annotated[str, Field(min_length=1)]
    gallery_id: Guid
    sequence: Sequence


class SnapshotStarted(_SnapshotFields):
    """The start of a snapshot; `gallery` is the head, which says how many items follow."""

    part: Literal["Started"] = "Started"
    gallery: Gallery


class SnapshotItem(_SnapshotFields):
    """An item of the gallery; `position` counts from 0 in display order."""

    part: Literal["Item"] = "Item"
    position: Annotated[int, Field(ge=0)]
    item: Item


class SnapshotEnded(_SnapshotFields):
    """The end of a snapshot: the gallery has the items of the snapshot and no others."""

    part: Literal["Ended"] = "Ended"
    total_items: Annotated[int, Field(ge=0)]


SnapshotRecord = SnapshotStarted | SnapshotItem | SnapshotEnded
SNAPSHOT_RECORDS: tuple[type[WireModel], ...] = (SnapshotStarted, SnapshotItem, SnapshotEnded)
_ANY_RECORD: TypeAdapter[SnapshotRecord] = TypeAdapter(Annotated[SnapshotRecord, Field(discriminator="part")])


def snapshot_started(snapshot_id: str, gallery_id: str, sequence: int, gallery: Mapping[str, Any]) -> dict[str, Any]:
    """The first record, from the head's wire form."""
    return _record("Started", snapshot_id, gallery_id, sequence, gallery={**gallery, "items": []})


def snapshot_item(
    snapshot_id: str, gallery_id: str, sequence: int, position: int, item: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of one item, from its wire form."""
    return _record("Item", snapshot_id, gallery_id, sequence, position=position, item=item)


def snapshot_ended(snapshot_id: str, gallery_id: str, sequence: int, total_items: int) -> dict[str, Any]:
    """The last record."""
    return _record("Ended", snapshot_id, gallery_id, sequence, totalItems=total_items)


def is_snapshot(event_type: str | None) -> bool:
    """Whether a record of the events topic with this CloudEvents type belongs to a snapshot."""
    return event_type is not None and event_type.startswith(SNAPSHOT_TYPE_PREFIX)


def decode_snapshot(value: bytes | None) -> SnapshotRecord:
    """Read a snapshot record. Raises Undecodable."""
    if value is None:
        raise Undecodable(Reason.TOMBSTONE, "a snapshot record has a value")
    if len(value) > EVENT_BYTES_MAX:
        raise Undecodable(Reason.TOO_LARGE, f"a snapshot record has at most {EVENT_BYTES_MAX} bytes, uncompressed")
    try:
        return _ANY_RECORD.validate_python(orjson.loads(value), by_name=False)
    except orjson.JSONDecodeError as error:
        raise Undecodable(Reason.NOT_JSON, str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Undecodable(Reason.BAD_DATA, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _record(part: str, snapshot_id: str, gallery_id: str, sequence: int, **content: Any) -> dict[str, Any]:
    return {"part": part, "snapshotId": snapshot_id, "galleryId": gallery_id, "sequence": sequence, **content}
