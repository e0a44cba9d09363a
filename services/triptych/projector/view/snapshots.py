"""Folds snapshots into views, purely: a gallery that lacks events takes over the state of the write model.

Each item of a snapshot is stored as it comes, with the sequence of the snapshot. A snapshot of any size therefore needs
no memory of its own. The last record of a snapshot removes the items that the snapshot does not have, which are those
of lower sequences. Only then the gallery advances to the snapshot's sequence. Until then it is marked as incomplete.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from triptych.contract.snapshots import SnapshotEnded, SnapshotItem, SnapshotStarted, decode_snapshot
from triptych.projector.view.fold import FoldResult, OpenSnapshot, View, advance, is_item, parse_head


@dataclass(frozen=True, slots=True)
class RawSnapshotRecord:
    """A snapshot record. `body` is its content in wire form, unchanged: a gallery, an item, or empty at the end."""

    fields: SnapshotStarted | SnapshotItem | SnapshotEnded
    body: dict[str, Any]

    @property
    def gallery_id(self) -> str:
        """The id of the gallery."""
        return self.fields.gallery_id

    @property
    def sequence(self) -> int:
        """The sequence that the snapshot describes."""
        return self.fields.sequence

    @property
    def item_id(self) -> str | None:
        """The id of the item, if the record has one."""
        return self.fields.item.id if isinstance(self.fields, SnapshotItem) else None


def read_snapshot_record(value: bytes | None) -> RawSnapshotRecord:
    """Decode a snapshot record. Raises Undecodable."""
    fields = decode_snapshot(value)
    content = orjson.loads(value or b"")
    return RawSnapshotRecord(fields, content.get("gallery") or content.get("item") or {})


def restore(view: View, site_id: str, record: RawSnapshotRecord) -> tuple[View, FoldResult]:
    """The view after a snapshot record of `site_id`; the same object if nothing changes."""
    if view.site_id != site_id:
        return view, FoldResult.CONTRADICTORY
    if view.is_deleted or record.sequence <= view.sequence:
        return view, FoldResult.REPEATED
    match record.fields:
        case SnapshotStarted():
            return _begin(view, record)
        case SnapshotItem():
            return _take(view, record)
        case SnapshotEnded():
            return _end(view, record.fields)


def _begin(view: View, record: RawSnapshotRecord) -> tuple[View, FoldResult]:
    if _is_current(view, record):
        return view, FoldResult.REPEATED
    if view.open_snapshot is not None and record.sequence < view.open_snapshot.sequence:
        return view, FoldResult.PASSED_OVER  # a repeat of an earlier snapshot
    head = parse_head(record.body)
    if head is None:
        return view, FoldResult.CONTRADICTORY
    return view._replace(
        open_snapshot=OpenSnapshot(record.fields.snapshot_id, record.sequence, head)
    ), FoldResult.APPLIED


def _take(view: View, record: RawSnapshotRecord) -> tuple[View, FoldResult]:
    open_snapshot = view.open_snapshot
    assert isinstance(record.fields, SnapshotItem)  # noqa: S101 - by `restore`
    if open_snapshot is None or not _is_current(view, record):
        return view, FoldResult.PASSED_OVER
    if record.fields.position < open_snapshot.position:
        return view, FoldResult.REPEATED
    if record.fields.position > open_snapshot.position:
        return view._replace(open_snapshot=None), FoldResult.PASSED_OVER
    if not is_item(record.body, record.item_id):
        return view._replace(open_snapshot=None), FoldResult.CONTRADICTORY
    return view._replace(open_snapshot=open_snapshot._replace(position=open_snapshot.position + 1)), FoldResult.APPLIED


def _end(view: View, ended: SnapshotEnded) -> tuple[View, FoldResult]:
    open_snapshot = view.open_snapshot
    if open_snapshot is None or open_snapshot.snapshot_id != ended.snapshot_id:
        return view, FoldResult.PASSED_OVER
    if open_snapshot.position != ended.total_items:
        return view._replace(open_snapshot=None), FoldResult.PASSED_OVER
    return advance(view, ended.sequence, open_snapshot.head, ended.total_items, 0), FoldResult.APPLIED


def _is_current(view: View, record: RawSnapshotRecord) -> bool:
    return view.open_snapshot is not None and view.open_snapshot.snapshot_id == record.fields.snapshot_id
