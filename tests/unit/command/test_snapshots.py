"""Snapshots that are published in steps are complete, although owners crash, return late and repeat records."""

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
    """A gallery that owners of a partition publish step by step; `topic` has the published records."""

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
        """The next step, decided by any owner."""
        bounds = page_of(JobKind.REPUBLISH, self.state).bounds or {}
        inside = [item for item in self.items if item.sort_order < bounds.get("$lt", float("inf"))]
        return advance(JobKind.REPUBLISH, self.state, self.head, inside[:PAGE], self.context)

    def take(self) -> None:
        """Take a step: commit it with its outbox row, and publish it."""
        step = self.decide()
        self.state, self.is_done = step.state, step.is_last
        self.rows.append(list(step.change.snapshot))
        self.topic += step.change.snapshot

    def change(self) -> None:
        """Change the gallery between two steps, which must not happen but can."""
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


def _complete(records: list[dict[str, Any]]) -> list[Snapshot]:
    assembler = SnapshotAssembler()
    return [found for record in records if (found := assembler.feed(orjson.dumps(record)))]


@given(st.data())
def test_only_a_snapshot_of_one_moment_is_complete(data: st.DataObject) -> None:
    """Repeats come from rows that were not acknowledged, and from owners that were paused while they published."""
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
    snapshots = _complete(owners.topic)
    assert [snapshot.sequence for snapshot in snapshots] == [owners.head.sequence]
    for snapshot in snapshots:
        assert snapshot.gallery["items"] == states[snapshot.sequence]
        assert snapshot.gallery["totalItems"] == len(states[snapshot.sequence])


def test_the_records_of_one_snapshot_are_of_one_moment() -> None:
    owners = _owners(7)
    owners.take()
    owners.change()
    while not owners.is_done:
        owners.take()
    by_id: dict[str, set[int]] = {}
    for record in owners.topic:
        by_id.setdefault(record["snapshotId"], set()).add(record["sequence"])
    assert [len(sequences) for sequences in by_id.values()] == [1, 1]


def test_each_attempt_has_its_own_snapshot_id() -> None:
    """The outcome of a command expires after some days, and its id may then be used again."""
    first, second = _owners(2), _owners(2)
    second.context = first.context
    first.take()
    second.take()
    assert first.topic[0]["snapshotId"] != second.topic[0]["snapshotId"]


def test_a_job_with_missing_items_fails_instead_of_running_for_ever() -> None:
    owners = _owners(7)
    owners.take()
    owners.items = owners.items[:PAGE]
    with pytest.raises(InconsistentGallery):
        owners.take()
    with pytest.raises(InconsistentGallery):
        advance_clone({"total": 3, "copied": 1}, owners.head, [], owners.context)
