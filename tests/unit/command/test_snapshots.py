"""Snapshots of galleries that are published in steps, while owners crash, come back late and repeat each other."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.client import Snapshot, SnapshotAssembler
from triptych.command.domain.state import CommandContext, GalleryHead, JobKind, StoredItem
from triptych.command.domain.steps import InconsistentGallery, Step, advance, advance_clone, page_of

PAGE = 3
GALLERY = "11111111-1111-4111-8111-111111111111"


@dataclass
class Owners:
    """A gallery that owners of a partition publish step by step; `topic` is what has come of it."""

    head: GalleryHead
    items: list[StoredItem]

    def __post_init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.rows: list[list[dict[str, Any]]] = []
        self.topic: list[dict[str, Any]] = []
        self.is_done = False
        ids = count()
        self.context = CommandContext("s", "command", datetime(2026, 1, 1, tzinfo=UTC), lambda: f"id-{next(ids)}")

    def decide(self) -> Step:
        """The next step, as some owner decides it."""
        bounds = page_of(JobKind.REPUBLISH, self.state).bounds or {}
        inside = [item for item in self.items if item.sort_order < bounds.get("$lt", float("inf"))]
        return advance(JobKind.REPUBLISH, self.state, self.head, inside[:PAGE], self.context)

    def take(self) -> None:
        """A step, committed with its row of the outbox and published."""
        step = self.decide()
        self.state, self.is_done = step.state, step.is_last
        self.rows.append(list(step.change.snapshot))
        self.topic += step.change.snapshot

    def change(self) -> None:
        """What must not happen between steps, and does."""
        del self.items[1]
        self.head = self.head._replace(sequence=self.head.sequence + 1, total_items=len(self.items))


def _owners(size: int) -> Owners:
    items = [
        StoredItem(
            f"i{sort_order}", GALLERY, "s", float(-sort_order), {"id": f"i{sort_order}", "sortOrder": -sort_order}
        )
        for sort_order in range(size)
    ]
    return Owners(GalleryHead(GALLERY, "s", "n", 1.0, "2026-01-01T00:00:00.000Z", size, size + 1, 0.0, 0.0), items)


def _whole(parts: list[dict[str, Any]]) -> list[Snapshot]:
    snapshots = SnapshotAssembler()
    return [found for part in parts if (found := snapshots.feed(orjson.dumps(part)))]


@given(st.data())
def test_only_the_gallery_as_it_was_is_whole(data: st.DataObject) -> None:
    """Whatever repeats come: of rows that were not marked, and of owners that were paused while they published."""
    owners = _owners(data.draw(st.integers(0, 8)))
    states = {owners.head.sequence: [item.body for item in owners.items]}
    changes = data.draw(st.integers(0, 2))
    for _ in range(30):
        if owners.is_done:
            break
        owners.take()
        if changes and len(owners.items) > 2 and not owners.is_done and data.draw(st.booleans()):
            owners.change()
            changes -= 1
            states[owners.head.sequence] = [item.body for item in owners.items]
        for _ in range(data.draw(st.integers(0, 2))):
            row = data.draw(st.sampled_from(owners.rows))
            owners.topic += row[data.draw(st.integers(0, len(row))) :]
    assert owners.is_done
    told = _whole(owners.topic)
    assert [snapshot.sequence for snapshot in told] == [owners.head.sequence]
    for snapshot in told:
        assert snapshot.gallery["items"] == states[snapshot.sequence]
        assert snapshot.gallery["totalItems"] == len(states[snapshot.sequence])


def test_the_parts_of_one_snapshot_are_of_one_moment() -> None:
    owners = _owners(7)
    owners.take()
    owners.change()
    while not owners.is_done:
        owners.take()
    by_id: dict[str, set[int]] = {}
    for part in owners.topic:
        by_id.setdefault(part["snapshotId"], set()).add(part["sequence"])
    assert [len(sequences) for sequences in by_id.values()] == [1, 1]


def test_each_try_has_an_id_of_its_own() -> None:
    """A command's outcome is forgotten after some days, and its id may then come again."""
    first, second = _owners(2), _owners(2)
    second.context = first.context
    first.take()
    second.take()
    assert first.topic[0]["snapshotId"] != second.topic[0]["snapshotId"]


def test_work_on_items_that_are_not_there_fails_instead_of_going_on_for_ever() -> None:
    owners = _owners(7)
    owners.take()
    owners.items = owners.items[:PAGE]
    with pytest.raises(InconsistentGallery):
        owners.take()
    with pytest.raises(InconsistentGallery):
        advance_clone({"total": 3, "copied": 1}, owners.head, [], owners.context)
