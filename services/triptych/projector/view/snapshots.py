"""Applies snapshots to views, purely: a gallery that lost events becomes what the write model says it is.

A snapshot's items are written as they come, each under the sequence of the snapshot, so that one of any size passes
through without being collected anywhere. Its end removes the items that it has not written, which are those of lower
sequences, and only then the gallery moves on to the snapshot's sequence. The gallery is marked as incomplete meanwhile.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from triptych.contract.snapshots import SnapshotEnded, SnapshotItem, SnapshotStarted, decode_snapshot
from triptych.projector.view.fold import FoldResult, OpenSnapshot, View, advance, is_item, parse_head


@dataclass(frozen=True, slots=True)
class RawSnapshotPart:
    """A part of a snapshot with its content in wire form, verbatim: a gallery, an item, or nothing at the end."""

    fields: SnapshotStarted | SnapshotItem | SnapshotEnded
    body: dict[str, Any]

    @property
    def gallery_id(self) -> str:
        """The gallery that it belongs to."""
        return self.fields.gallery_id

    @property
    def sequence(self) -> int:
        """The sequence that the snapshot describes."""
        return self.fields.sequence

    @property
    def item_id(self) -> str | None:
        """The item that it brings."""
        return self.fields.item.id if isinstance(self.fields, SnapshotItem) else None


def read_part(value: bytes | None) -> RawSnapshotPart:
    """Read a part of a snapshot. Raises Undecodable."""
    fields = decode_snapshot(value)
    content = orjson.loads(value or b"")
    return RawSnapshotPart(fields, content.get("gallery") or content.get("item") or {})


def restore(view: View, site_id: str, part: RawSnapshotPart) -> tuple[View, FoldResult]:
    """The view after a part of a snapshot; the same object if nothing changes."""
    if view.site_id != site_id:
        return view, FoldResult.CONTRADICTORY
    if view.is_deleted or part.sequence <= view.sequence:
        return view, FoldResult.REPEATED
    match part.fields:
        case SnapshotStarted():
            return _begin(view, part)
        case SnapshotItem():
            return _take(view, part)
        case SnapshotEnded():
            return _end(view, part.fields)


def _begin(view: View, part: RawSnapshotPart) -> tuple[View, FoldResult]:
    if _is_current(view, part):
        return view, FoldResult.REPEATED
    if view.restoration is not None and part.sequence < view.restoration.sequence:
        return view, FoldResult.PASSED_OVER  # a late repeat of an earlier snapshot
    head = parse_head(part.body)
    if head is None:
        return view, FoldResult.CONTRADICTORY
    return view._replace(restoration=OpenSnapshot(part.fields.snapshot_id, part.sequence, head)), FoldResult.APPLIED


def _take(view: View, part: RawSnapshotPart) -> tuple[View, FoldResult]:
    restoration = view.restoration
    assert isinstance(part.fields, SnapshotItem)  # noqa: S101 - by `restore`
    if restoration is None or not _is_current(view, part):
        return view, FoldResult.PASSED_OVER
    if part.fields.position < restoration.position:
        return view, FoldResult.REPEATED
    if part.fields.position > restoration.position:
        return view._replace(restoration=None), FoldResult.PASSED_OVER
    if not is_item(part.body, part.item_id):
        return view._replace(restoration=None), FoldResult.CONTRADICTORY
    return view._replace(restoration=restoration._replace(position=restoration.position + 1)), FoldResult.APPLIED


def _end(view: View, ended: SnapshotEnded) -> tuple[View, FoldResult]:
    restoration = view.restoration
    if restoration is None or restoration.snapshot_id != ended.snapshot_id:
        return view, FoldResult.PASSED_OVER
    if restoration.position != ended.total_items:
        return view._replace(restoration=None), FoldResult.PASSED_OVER
    return advance(view, ended.sequence, restoration.head, ended.total_items, 0), FoldResult.APPLIED


def _is_current(view: View, part: RawSnapshotPart) -> bool:
    return view.restoration is not None and view.restoration.snapshot_id == part.fields.snapshot_id
