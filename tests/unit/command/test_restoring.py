"""The steps of a restore: from any state to any former state, in steps that are each valid."""

import itertools
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.volume import examples
from triptych.command.domain import restoring
from triptych.command.domain.restoring import DELETING, PUTTING, begin, delete_others, put_back
from triptych.command.domain.state import CommandContext, GalleryHead, Rejected, StoredItem
from triptych.contract.identity import derived_item_id

NUMBERS = itertools.count()
HEAD = GalleryHead("g", "s", "n", 5.0, "2026-01-01T00:00:00.000Z", 0, 100, 0.0, 0.0)


def context(command_id: str = "c") -> CommandContext:
    return CommandContext("s", command_id, datetime(2026, 1, 2, tzinfo=UTC), lambda: f"e{next(NUMBERS)}")


def body(item_id: str, sort_order: float, title: str) -> dict[str, Any]:
    date = "2026-01-01T00:00:00.000Z"
    fixed = {"type": "TEXT", "text": {"html": "h"}, "createdDate": date, "updatedDate": date}
    return {"id": item_id, "sortOrder": sort_order, "title": title, **fixed}


def items_of(bodies: list[dict[str, Any]]) -> dict[str, StoredItem]:
    return {one["id"]: StoredItem(one["id"], "g", "s", float(one["sortOrder"]), one) for one in bodies}


class Gallery:
    """A gallery as the database has it, which refuses a sort order that two items have."""

    def __init__(self, bodies: list[dict[str, Any]]) -> None:
        self.items = items_of(bodies)
        self.head = HEAD._replace(total_items=len(bodies), highest=max((i.sort_order for i in self.shown()), default=0))
        self.events: list[dict[str, Any]] = []

    def shown(self) -> list[StoredItem]:
        return sorted(self.items.values(), key=lambda item: -item.sort_order)

    def save(self, step: Any) -> None:
        for item_id, item in step.change.items.items():
            self.items.pop(item_id, None)
            if item is not None:
                self.items[item_id] = item
        sort_orders = [item.sort_order for item in self.items.values()]
        assert len(set(sort_orders)) == len(sort_orders)
        self.events += step.change.events
        self.head = step.change.head
        assert self.head.sequence == HEAD.sequence + len(self.events)
        assert self.head.total_items == len(self.items)
        assert all(self.head.highest >= sort_order for sort_order in sort_orders)

    def restore(self, former: list[dict[str, Any]], page: int, command_id: str = "c") -> None:
        """Carry out all steps, as `flow.restoration` does."""
        state: dict[str, Any] = {"name": "then", "sortOrder": 6.0, "total": len(former)}
        state["lowest"] = former[-1]["sortOrder"] if former else None
        lowest = self.shown()[-1].sort_order if self.items else None
        step = begin(state, self.head, lowest, False, context(command_id))
        ids = {one["id"] for one in former}
        while True:
            self.save(step)
            if step.is_last:
                return
            state = step.state
            if state["phase"] == DELETING:
                found = [item for item in self.shown() if item.sort_order < state.get("last", float("inf"))][:page]
                missing = {float(one["sortOrder"]): one for one in former if one["id"] not in self.items}
                kept = {item.item_id for item in found if item.item_id in ids or restoring.is_twin(item.body, missing)}
                step = delete_others(state, self.head, found, frozenset(kept), context(command_id))
            else:
                assert state["phase"] == PUTTING
                bodies = former[state["done"] : state["done"] + page]
                wanted = {float(one["sortOrder"]) for one in bodies}
                present = {one["id"]: self.items[one["id"]] for one in bodies if one["id"] in self.items}
                others = [i for i in self.shown() if i.sort_order in wanted and i.item_id not in present]
                known = frozenset(item.item_id for item in others if item.item_id in ids)
                step = put_back(state, self.head, bodies, present, others, known, context(command_id))


def drawn(rng: random.Random, ids: list[str]) -> list[dict[str, Any]]:
    """Some of these items in a random order, with titles and sort orders from few values."""
    chosen = rng.sample(ids, rng.randint(0, len(ids)))
    sort_orders = sorted(rng.sample(range(-12, 13), len(chosen)), reverse=True)
    return [body(id_, at, rng.choice("ab")) for id_, at in zip(chosen, sort_orders, strict=True)]


def seen(item: dict[str, Any]) -> tuple[float, str]:
    return float(item["sortOrder"]), item["title"]


@pytest.mark.parametrize("seed", range(40 * examples(1)))
def test_any_state_becomes_any_former_state_and_a_second_restore_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    ids = [f"i{number}" for number in range(10)]
    now, former = drawn(rng, ids), drawn(rng, ids)
    gallery = Gallery(now)
    before = set(gallery.items)
    gallery.restore(former, rng.randint(1, 4))
    assert [seen(item.body) for item in gallery.shown()] == [seen(one) for one in former]
    assert (gallery.head.name, gallery.head.sort_order) == ("then", 6.0)
    by_place = {float(one["sortOrder"]): one["id"] for one in former}
    for item in gallery.shown():
        former_id = by_place[item.sort_order]
        if former_id in before:
            assert item.item_id == former_id
        else:
            # An id that was deleted is not used again.
            assert item.item_id not in ids or seen(body("", item.sort_order, item.body["title"])) in map(seen, now)
    events = list(gallery.events)
    gallery.restore(former, rng.randint(1, 4), "another command")
    assert gallery.events == events


def test_a_permutation_costs_two_events_for_each_item_at_most() -> None:
    former = [body(f"i{number}", 50 - number, "a") for number in range(50)]
    gallery = Gallery([{**one, "sortOrder": 51 - one["sortOrder"]} for one in former])
    gallery.restore(former, 5)
    assert [item.item_id for item in gallery.shown()] == [one["id"] for one in former]
    assert len(gallery.events) <= 1 + 2 * 50


def test_the_ids_of_created_items_follow_from_the_command() -> None:
    former = [body("gone", 2.5, "a")]
    gallery = Gallery([])
    gallery.restore(former, 5)
    (item,) = gallery.shown()
    assert item.item_id == derived_item_id("s", "c", 0, None)
    assert item.body["createdDate"] == context().date


def test_items_that_cannot_be_moved_aside_are_refused_at_the_beginning() -> None:
    gallery = Gallery([body("i", -1.7e308, "a")])
    with pytest.raises(Rejected):
        begin(
            {"name": "n", "sortOrder": 1.0, "total": 1, "lowest": -1.7976931348623157e308},
            gallery.head,
            None,
            False,
            context(),
        )
