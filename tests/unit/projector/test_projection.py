"""Folding: which events apply, and how they change a view."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.histories import History
from triptych.contract.codec.events import Event, EventType
from triptych.projector.view.batch import Batch, fold
from triptych.projector.view.fold import FoldResult, ItemView, MissingEvents, View, project
from triptych.projector.view.snapshots import read_snapshot_record

SITE = "s"


def _events(history: History) -> list[tuple[str, Event]]:
    return [(history.site_id, event) for event in history.events]


def _fold(history: History) -> Batch:
    return fold({}, _events(history))


def _long_history(gallery_id: str | None = None) -> History:
    history = History(gallery_id, site_id=SITE).create()
    first, second = history.add_item(1), history.add_item(2)
    return history.update_item(first, title="T").delete_item(second).rename("new")


def test_a_history_becomes_a_view_and_its_items() -> None:
    history = _long_history()
    batch = _fold(history)
    head = history.head()
    del head["totalItems"]
    assert batch.views == {history.gallery_id: View(SITE, history.gallery_id, 6, head, 1)}
    (kept,) = history.items
    (removed,) = set(batch.items) - {kept}
    assert batch.items[kept] == ItemView(SITE, history.gallery_id, kept, 4, history.items[kept])
    assert batch.items[removed] == ItemView(SITE, history.gallery_id, removed, 5, None)
    assert batch.touched == {history.gallery_id: {kept, removed}}
    assert batch.outcomes == [FoldResult.APPLIED] * 6


def test_a_gallery_is_shown_once_it_has_the_items_it_was_created_with() -> None:
    history = History(site_id=SITE).create(first_items=2)
    for order in range(3):
        history.add_item(order)
    gallery_id = history.gallery_id
    views = [fold({}, _events(history)[:count]).views[gallery_id] for count in range(1, 5)]
    assert [view.is_shown for view in views] == [False, False, True, True]
    assert [view.total_items for view in views] == [0, 1, 2, 3]
    assert not fold({}, _events(history)[:2]).views[gallery_id].is_deleted


def test_a_deleted_gallery_stays_deleted() -> None:
    history = _long_history().delete()
    view = _fold(history).views[history.gallery_id]
    assert (view.is_deleted, view.head, view.total_items, view.sequence) == (True, None, 0, 8)
    batch = fold({history.gallery_id: view}, _events(history))
    assert batch.outcomes == [FoldResult.REPEATED] * 8
    assert batch.changed == set()
    for sequence in (9, 20):
        assert project(view, SITE, history.events[0]._replace(sequence=sequence)) == (view, FoldResult.REPEATED)


def test_repeats_change_nothing_and_are_published_again() -> None:
    history = _long_history()
    views = _fold(history).views
    batch = fold(views, _events(history)[2:4])
    assert (batch.views, batch.changed, batch.items) == (views, set(), {})
    assert batch.outcomes == [FoldResult.REPEATED] * 2
    assert batch.touched == {history.gallery_id: {event.item_id for event in history.events[2:4]}}


def test_a_gallery_is_published_again_with_its_last_event_only() -> None:
    history = _long_history()
    views = _fold(history).views
    assert not fold(views, _events(history)[:-1]).publishable
    assert list(fold(views, _events(history)[-1:]).publishable) == [history.gallery_id]
    assert list(fold({}, _events(history)[:2]).publishable) == [history.gallery_id]

    history = History(site_id=SITE).create()
    history.add_item(1)
    snapshot = [(SITE, read_snapshot_record(message.value)) for message in history.snapshot()]
    views = fold({}, snapshot).views
    assert not fold(views, snapshot[:-1]).publishable
    assert list(fold(views, snapshot[-1:]).publishable) == [history.gallery_id]


def test_an_event_that_comes_too_early_marks_the_gallery_until_all_before_it_has_come() -> None:
    history, other = _long_history(), _long_history()
    events = _events(history)
    batch = fold({}, [events[0], events[3], events[2], *_events(other)])
    stuck = batch.views[history.gallery_id]
    assert (stuck.sequence, stuck.missing) == (1, MissingEvents(expected=2, received=4))
    assert batch.outcomes[:3] == [FoldResult.APPLIED, FoldResult.HELD_BACK, FoldResult.HELD_BACK]
    assert batch.views[other.gallery_id].sequence == 6
    assert batch.touched[history.gallery_id] == set()

    partly = fold(batch.views, events[1:3]).views[history.gallery_id]
    assert (partly.sequence, partly.missing) == (3, MissingEvents(expected=4, received=4))
    whole = fold({history.gallery_id: partly}, events[3:]).views[history.gallery_id]
    assert whole == _fold(history).views[history.gallery_id]


def test_a_gallery_whose_beginning_is_missing_is_not_there() -> None:
    history = _long_history()
    batch = fold({}, _events(history)[1:])
    view = batch.views[history.gallery_id]
    assert (view.head, view.is_deleted, view.missing) == (None, False, MissingEvents(1, 6))
    assert batch.touched == {}


def test_an_event_of_another_site_does_not_fit() -> None:
    history = _long_history()
    view = _fold(history).views[history.gallery_id]
    assert project(view, "other", history.events[-1]._replace(sequence=7)) == (view, FoldResult.CONTRADICTORY)


@pytest.mark.parametrize(
    ("event_type", "body"),
    [
        (EventType.GALLERY_CREATED, None),
        (EventType.GALLERY_CREATED, {"sortOrder": 1, "createdDate": "2026-01-01T00:00:00Z", "totalItems": -1}),
        (EventType.GALLERY_UPDATED, {"sortOrder": "1", "createdDate": "2026-01-01T00:00:00Z"}),
        (EventType.GALLERY_UPDATED, {"sortOrder": 1, "createdDate": "yesterday"}),
        (EventType.GALLERY_UPDATED, {"sortOrder": 1, "createdDate": "2026-01-01T00:00:00"}),
        (EventType.GALLERY_UPDATED, {"sortOrder": 1}),
        (EventType.ITEM_CREATED, {"sortOrder": True}),
        (EventType.ITEM_CREATED, {"id": "ANOTHER-SPELLING"}),
        (EventType.ITEM_UPDATED, {"sortOrder": None}),
        (EventType.ITEM_DELETED, None),
    ],
)
def test_content_that_no_view_can_be_made_of_does_not_fit(event_type: EventType, body: dict[str, Any] | None) -> None:
    history = History(site_id=SITE).create()
    (created,) = history.events
    view, _ = project(View(SITE, history.gallery_id), SITE, created)
    item = {"id": "i", "sortOrder": 1, "type": "TEXT"}
    if event_type in (EventType.ITEM_CREATED, EventType.ITEM_UPDATED):
        body = {**item, **(body or {})}
    event = created._replace(
        event_type=event_type, sequence=2, body=created.body if body is None else body, item_id="i"
    )
    marked = view._replace(missing=MissingEvents(2, 2))
    assert project(view, SITE, event) == (marked, FoldResult.CONTRADICTORY)


@pytest.mark.parametrize("position", range(1, 6))
def test_only_the_creation_can_come_first(position: int) -> None:
    history = _long_history()
    event = history.events[position]._replace(sequence=1)
    view = View(SITE, history.gallery_id)
    assert project(view, SITE, event) == (view._replace(missing=MissingEvents(1, 1)), FoldResult.CONTRADICTORY)


@st.composite
def _deliveries(draw: st.DrawFn) -> tuple[list[History], list[list[tuple[str, Event]]]]:
    """Some galleries' histories, and their events mixed, repeated at will, and cut into batches."""
    histories = []
    for number in range(draw(st.integers(1, 3))):
        history = History(f"0000000{number}-0000-4000-8000-000000000000", site_id=f"site{number}").create()
        for step in range(draw(st.integers(0, 8))):
            match draw(st.sampled_from(["add", "add", "update", "delete", "rename"])), list(history.items):
                case "update", [*_, item_id]:
                    history.update_item(item_id, title=str(step))
                case "delete", [item_id, *_]:
                    history.delete_item(item_id)
                case "rename", _:
                    history.rename(str(step))
                case _:
                    history.add_item(step, f"0000000{number}-0000-4000-9000-00000000000{step}")
        if draw(st.booleans()):
            history.delete()
        histories.append(history)

    decoded = [_events(history) for history in histories]
    sent = [0] * len(histories)
    deliveries: list[tuple[str, Event]] = []
    while unfinished := [number for number, events in enumerate(decoded) if sent[number] < len(events)]:
        number = draw(st.sampled_from(unfinished))
        start = draw(st.integers(0, sent[number]))
        end = draw(st.integers(sent[number] + 1, len(decoded[number])))
        deliveries += decoded[number][start:end]
        sent[number] = end
    cuts = sorted(draw(st.sets(st.integers(0, len(deliveries)))))
    batches = [deliveries[a:b] for a, b in zip([0, *cuts], [*cuts, len(deliveries)], strict=True)]
    return histories, batches


@given(_deliveries())
def test_however_events_are_repeated_and_batched_the_views_are_the_same(
    delivered: tuple[list[History], list[list[tuple[str, Event]]]],
) -> None:
    histories, batches = delivered
    views: dict[str, View] = {}
    items: dict[str, ItemView] = {}
    for events in batches:
        batch = fold(views, events)
        views = batch.views
        items.update(batch.items)

    expected = fold({}, [event for history in histories for event in _events(history)])
    assert views == expected.views
    assert items == expected.items
    assert {item_id: item.item for item_id, item in items.items() if item.item is not None} == {
        item_id: item for history in histories for item_id, item in history.items.items()
    }
    assert [views[history.gallery_id].total_items for history in histories] == [len(h.items) for h in histories]
