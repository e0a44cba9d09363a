"""Items that are created with `to: end` are shown after all others, call by call, in the order given."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command_domain import Gallery
from tests.support.volume import examples

TEXT: dict[str, Any] = {"text": {"html": "x"}}


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["start", "end", None])), min_size=1, max_size=8))
@settings(max_examples=examples(50), deadline=None, derandomize=True)
def test_calls_to_both_ends_in_any_order(calls: list[tuple[int, str | None]]) -> None:
    gallery = Gallery()
    order: list[str] = []
    for count, to in calls:
        reply = gallery.send("CreateItems", items=[TEXT] * count, to=to)
        ids = list(reply.item_ids or [])
        order = [*order, *ids] if to == "end" else [*ids, *order]
        assert gallery.world.order(gallery.id) == order


@pytest.mark.parametrize("lowest", [2.0**53, 5e-324, -1e300, -(2.0**60)])
def test_any_lowest_sort_order_has_room_below_it(lowest: float) -> None:
    gallery = Gallery({**TEXT, "sortOrder": lowest})
    reply = gallery.send("CreateItems", items=[TEXT] * 500, to="end")
    assert gallery.world.order(gallery.id) == [*gallery.items, *(reply.item_ids or [])]


def test_where_doubles_end_the_command_is_refused() -> None:
    gallery = Gallery({**TEXT, "sortOrder": -1.7976931348623157e308})
    reply = gallery.send("CreateItems", items=[TEXT], to="end")
    assert reply.error is not None
    assert reply.error.code == "FAILED_PRECONDITION"


def test_explicit_sort_orders_are_kept_and_not_given_twice() -> None:
    gallery = Gallery({**TEXT, "sortOrder": 10_000})
    asked = [{**TEXT, "sortOrder": 9_000}, TEXT, {**TEXT, "sortOrder": 8_000}, TEXT]
    reply = gallery.send("CreateItems", items=asked, to="end")
    found = [stored.sort_order for item in reply.item_ids or [] if (stored := gallery.world.item(item))]
    assert (found[0], found[2]) == (9_000, 8_000)
    assert 10_000 > found[1] > found[3]
    assert len(set(found)) == 4
    taken = gallery.send("CreateItems", items=[{**TEXT, "sortOrder": 9_000}], to="end")
    assert taken.error is not None
    assert taken.error.code == "ALREADY_EXISTS"
