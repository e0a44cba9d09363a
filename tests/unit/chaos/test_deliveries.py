"""The judge names deliveries without an end, forbidden addresses and mixed sites (I6, I7, I8)."""

from pathlib import Path

import pytest

from tests.support.chaos.history import Delivery, ForeignRead, History
from tests.support.chaos.planting import Plants
from tests.support.chaos.recorded import STAYS

PLANTS = Plants()


@PLANTS.plant("I6", "did not arrive")
def a_delivery_does_not_arrive(history: History) -> None:
    del history.deliveries[0]


@PLANTS.plant("I6", "has no end (None)")
def an_event_is_not_planned_for_its_listener(history: History) -> None:
    del history.outcomes[history.events[0].id]


@PLANTS.plant("I6", "is not on the topic")
def an_invented_event_is_delivered(history: History) -> None:
    history.deliveries.append(Delivery("a", "invented", {}, has_succeeded=True))


@PLANTS.plant("I7", "an address that is forbidden")
def a_forbidden_address_is_called(history: History) -> None:
    history.deliveries[0] = history.deliveries[0]._replace(is_allowed=False)


@PLANTS.plant("I8", f"was delivered to the site b: gallery {STAYS}")
def an_event_is_delivered_to_another_site(history: History) -> None:
    history.deliveries[0] = history.deliveries[0]._replace(site="b")


@PLANTS.plant("I8", "the site b was shown a gallery of a")
def another_site_sees_a_gallery(history: History) -> None:
    history.foreign_reads.append(ForeignRead("b", 200, (STAYS,)))


@PLANTS.plant("I8", "in a gallery of the site a")
def an_event_has_another_site(history: History) -> None:
    history.events[3] = history.events[3]._replace(site="b")


@pytest.mark.parametrize("name", list(PLANTS))
def test_a_planted_fault_is_named(name: str, tmp_path: Path) -> None:
    PLANTS.check(name, tmp_path)
