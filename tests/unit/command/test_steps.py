"""Each step of a job leaves a consistent gallery, and the last step completes the work."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from triptych.command.domain.state import CommandContext, GalleryHead, JobKind, StoredItem
from triptych.command.domain.steps import advance, advance_clone, page_of
from triptych.writemodel.galleries import Status

COUNT, PAGE = 7, 3
numbers = itertools.count()
CONTEXT = CommandContext("site", "command", datetime(2026, 1, 1, tzinfo=UTC), lambda: f"event-{next(numbers)}")


def item(number: int) -> StoredItem:
    body = {"id": f"i{number}", "title": str(number), "sortOrder": number, "text": {"html": "x"}, "type": "TEXT"}
    return StoredItem(f"i{number}", "g", "site", float(number), body)


def head(**fields: Any) -> GalleryHead:
    known = {"total_items": COUNT, "sequence": 10, "last_default": 0.0, "highest": float(COUNT), **fields}
    return GalleryHead("g", "site", "n", 1.0, "2026-01-01T00:00:00.000Z", **known)


class Work:
    """A gallery of seven items that one kind of job processes, three at a time, as the runner does."""

    def __init__(self, kind: JobKind, **fields: Any) -> None:
        self.kind = kind
        self.head = head(**fields)
        self.items = {one.item_id: one for one in map(item, range(COUNT))}
        self.events: list[dict[str, Any]] = []
        self.snapshot: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {}
        self.steps = 0
        self.is_done = False

    def step(self) -> None:
        page = page_of(self.kind, self.state)
        low, high = ((page.bounds or {}).get(name) for name in ("$gte", "$lt"))
        inside = [
            one
            for one in self.order()[:: 1 if page.is_descending else -1]
            if (low is None or one.sort_order >= low) and (high is None or one.sort_order < high)
        ]
        step = advance(self.kind, self.state, self.head, inside[:PAGE], CONTEXT)
        self.head, self.state, self.is_done = step.change.head, step.state, step.is_last
        self.events += step.change.events
        self.snapshot += step.change.snapshot
        for item_id, changed in step.change.items.items():
            del self.items[item_id]
            if changed is not None:
                self.items[item_id] = changed
        self.steps += 1

    def order(self) -> list[StoredItem]:
        return sorted(self.items.values(), key=lambda one: -one.sort_order)


@pytest.mark.parametrize("kind", [JobKind.CLEAR, JobKind.DELETE, JobKind.REBALANCE, JobKind.REPUBLISH])
def test_every_step_leaves_total_and_sequence_right(kind: JobKind) -> None:
    work = Work(kind, status=Status.DELETED if kind is JobKind.DELETE else Status.LIVE)
    while not work.is_done:
        work.step()
        assert work.head.total_items == len(work.items)
        assert [int(event["entityEventSequence"]) for event in work.events] == list(range(11, work.head.sequence + 1))
        assert work.steps < COUNT
    assert work.steps == 3


def test_clearing_ends_with_nothing_and_deleting_with_the_gallerys_own_event() -> None:
    for kind, last in ((JobKind.CLEAR, "gallery_item_deleted"), (JobKind.DELETE, "deleted")):
        work = Work(kind)
        while not work.is_done:
            work.step()
        assert not work.items
        assert work.events[-1]["slug"] == last
        origins = {event["originatedFrom"] for event in work.events[:COUNT]}
        assert origins == {"Gallery Deleted" if kind is JobKind.DELETE else ""}


def test_rebalancing_shows_the_same_order_after_every_step_and_makes_room() -> None:
    work = Work(JobKind.REBALANCE)
    titles = [one.body["title"] for one in work.order()]
    while not work.is_done:
        work.step()
        assert [one.body["title"] for one in work.order()] == titles
    gaps = {one.sort_order - other.sort_order for one, other in itertools.pairwise(work.order())}
    assert gaps == {2.0**20}


def test_republishing_numbers_all_items_in_display_order_and_changes_nothing() -> None:
    work = Work(JobKind.REPUBLISH)
    before = (work.head, dict(work.items))
    while not work.is_done:
        work.step()
    assert (work.head, work.items) == before
    assert not work.events
    assert [record["part"] for record in work.snapshot] == ["Started", *["Item"] * COUNT, "Ended"]
    assert [record["position"] for record in work.snapshot[1:-1]] == list(range(COUNT))
    assert [record["item"]["id"] for record in work.snapshot[1:-1]] == [f"i{number}" for number in range(COUNT)[::-1]]
    assert {record["sequence"] for record in work.snapshot} == {10}


def test_a_clone_is_not_live_before_its_last_step() -> None:
    bodies = [item(number).body for number in range(COUNT)]
    made, state = head(total_items=0, sequence=0, status=Status.BUILDING), {"source": "s", "total": COUNT}
    events: list[dict[str, Any]] = []
    sort_orders: list[float] = []
    for first in range(0, COUNT, PAGE):
        step = advance_clone(state, made, bodies[first : first + PAGE], CONTEXT)
        made, state = step.change.head, step.state
        events += step.change.events
        sort_orders += [one.sort_order for one in step.change.items.values() if one]
        assert step.is_last == (made.status is Status.LIVE) == (made.total_items == COUNT)
    assert [int(event["entityEventSequence"]) for event in events] == list(range(1, COUNT + 2))
    # The first event says how many items will follow.
    assert events[0]["createdEvent"]["entity"]["totalItems"] == COUNT
    assert sort_orders == sorted(set(sort_orders), reverse=True)
    assert len({event["actionEvent"]["body"]["item"]["id"] for event in events[1:]}) == COUNT


def test_a_clone_of_an_empty_gallery_is_complete_at_once() -> None:
    step = advance_clone({"source": "s", "total": 0}, head(total_items=0, sequence=0), [], CONTEXT)
    assert step.is_last
    assert (step.change.head.status, len(step.change.events)) == (Status.LIVE, 1)
