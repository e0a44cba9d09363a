"""The judge names events that are lost, changed, out of order or on another partition (I2, I3)."""

import uuid
from pathlib import Path

import pytest

from tests.support.chaos.history import History
from tests.support.chaos.planting import Plants
from tests.support.chaos.recorded import STAYS

PLANTS = Plants()


@PLANTS.plant("I2", f"no event: gallery {STAYS} sequence 3 after events[")
def an_event_is_dropped(history: History) -> None:
    del history.events[2]


@PLANTS.plant("I2", f"no event: gallery {STAYS} sequence 6")
def the_last_event_is_dropped(history: History) -> None:
    del history.events[5]


@PLANTS.plant("I2", "two ids, ")
def an_event_is_published_again_under_a_new_id(history: History) -> None:
    event = history.events[2]
    history.events.append(event._replace(offset=50, value={**event.value, "id": str(uuid.uuid4())}))


@PLANTS.plant("I2", "came with different content")
def an_event_is_repeated_with_other_content(history: History) -> None:
    event = history.events[2]
    history.events.append(event._replace(offset=50, value={**event.value, "originatedFrom": "x"}))


@PLANTS.plant("I2", f"no event: gallery {STAYS} sequence 6")
def a_sequence_is_skipped(history: History) -> None:
    history.events[5] = history.events[5]._replace(value={**history.events[5].value, "entityEventSequence": "7"})


@PLANTS.plant("I2", "left over: outbox")
def an_event_is_not_published(history: History) -> None:
    history.left_over["outbox rows that are not published"] = 1


@PLANTS.plant("I3", f"first appeared after a later event: gallery {STAYS} sequence 2")
def the_order_is_broken(history: History) -> None:
    history.events[1], history.events[2] = history.events[2], history.events[1]


@PLANTS.plant("I3", "of partition")
def an_event_is_on_a_wrong_partition(history: History) -> None:
    history.events[3] = history.events[3]._replace(partition=(history.events[3].partition + 1) % 3)


@pytest.mark.parametrize("name", list(PLANTS))
def test_a_planted_fault_is_named(name: str, tmp_path: Path) -> None:
    PLANTS.check(name, tmp_path)
