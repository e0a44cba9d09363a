"""The judge names what is shown wrongly at the end, and what comes back (I4, I5)."""

import uuid
from pathlib import Path

import pytest

from tests.support.chaos.history import History, Joined, State
from tests.support.chaos.planting import Plants
from tests.support.chaos.recorded import GONE, STAYS

PLANTS = Plants()


@PLANTS.plant("I4", "the head record is outdated: it has 3, not gallery")
def the_head_record_is_outdated(history: History) -> None:
    head = history.joined[2]
    assert head.value is not None
    history.joined.append(head._replace(offset=60, value={**head.value, "sequence": 3}))


@PLANTS.plant("I4", "is outdated: gallery")
def the_record_of_an_item_is_outdated(history: History) -> None:
    record = history.joined[0]
    assert record.value is not None
    value = {**record.value, "item": {**record.value["item"], "title": "old"}}
    history.joined.append(record._replace(offset=60, value=value))


@PLANTS.plant("I4", "has a gallery that never was")
def the_record_of_an_item_has_an_invented_gallery(history: History) -> None:
    record = history.joined[0]
    assert record.value is not None
    value = {**record.value, "gallery": {**record.value["gallery"], "name": "invented"}}
    history.joined.append(record._replace(offset=60, value=value))


@PLANTS.plant("I4", "HTTP shows name 'old' instead of 'N'")
def http_shows_an_old_name(history: History) -> None:
    state = history.states[STAYS]
    history.states[STAYS] = State({**(state.gallery or {}), "name": "old"}, state.items)


@PLANTS.plant("I4", "HTTP shows the items in another order")
def http_shows_another_order(history: History) -> None:
    state = history.states[STAYS]
    history.states[STAYS] = State(state.gallery, state.items[::-1])


@PLANTS.plant("I5", "came back: gallery " + STAYS)
def an_item_is_resurrected(history: History) -> None:
    event = history.events[2]
    number = {"id": str(uuid.uuid4()), "entityEventSequence": "7"}
    history.events.append(event._replace(offset=50, value={**event.value, **number}))


@PLANTS.plant("I5", f"an event of a deleted gallery: gallery {GONE} sequence 5")
def a_gallery_is_resurrected(history: History) -> None:
    event = history.events[6]
    number = {"id": str(uuid.uuid4()), "entityEventSequence": "5"}
    history.events.append(event._replace(offset=50, value={**event.value, **number}))


@PLANTS.plant("I5", "which does not exist")
def the_record_of_a_deleted_item_stays(history: History) -> None:
    record = history.joined[0]
    key = f"{STAYS}/33333333-3333-4333-8333-333333333332"
    history.joined.append(Joined(record.partition, 60, key, record.value))


@PLANTS.plant("I5", "HTTP shows a deleted gallery")
def http_shows_a_deleted_gallery(history: History) -> None:
    history.states[GONE] = history.states[STAYS]


@pytest.mark.parametrize("name", list(PLANTS))
def test_a_planted_fault_is_named(name: str, tmp_path: Path) -> None:
    PLANTS.check(name, tmp_path)
