"""A default sort order is never one that the same call gives to another element (contract, section 4, rule 1)."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.command_domain import TEXT, Gallery

P = 9e14
"""The sort order from which defaults count in these tests, far beyond the clock."""


def gallery_with_items_above_the_clock(*sort_orders: float) -> tuple[Gallery, float, list[str]]:
    """A gallery, its next default, and the ids of items at these distances above that default."""
    gallery = Gallery({**TEXT, "sortOrder": P}, TEXT)
    moved = gallery.send("MoveItem", itemId=gallery.items[1], to="start")
    assert moved.outcome == "accepted"
    first = gallery.body(1)["sortOrder"] + 1
    added = [
        gallery.send("CreateItems", items=[{**TEXT, "sortOrder": first + sort_order}]) for sort_order in sort_orders
    ]
    return gallery, first, [reply.item_ids[0] for reply in added if reply.item_ids]


def test_no_default_takes_a_sort_order_that_an_item_of_the_call_keeps() -> None:
    gallery, first, (kept,) = gallery_with_items_above_the_clock(0)
    reply = gallery.send("UpdateGallery", gallery={"items": [{"id": kept, "sortOrder": first}, TEXT]})
    assert reply.outcome == "accepted"
    assert reply.item_ids is not None
    gallery.items = list(reply.item_ids)
    assert [gallery.body(index)["sortOrder"] for index in range(2)] == [first, first + 1]


def test_no_default_takes_a_sort_order_that_an_item_of_the_call_gets() -> None:
    gallery, first, (moved,) = gallery_with_items_above_the_clock(7)
    reply = gallery.send("UpdateGallery", gallery={"items": [TEXT, {"id": moved, "sortOrder": first}]})
    assert reply.outcome == "accepted"


_OFFSETS = st.integers(0, 6)


@given(st.sets(_OFFSETS, max_size=4), st.data())
def test_a_call_without_conflicts_of_its_own_is_never_refused_for_a_default(
    taken: set[int], data: st.DataObject
) -> None:
    gallery, first, items = gallery_with_items_above_the_clock(*sorted(taken))
    named = data.draw(st.lists(st.sampled_from(items), unique=True)) if items else []
    kept = taken - {sorted(taken)[items.index(item)] for item in named}
    requested = data.draw(st.permutations(sorted(set(range(8)) - kept)))
    entries: list[dict[str, Any]] = [{"id": item, "sortOrder": first + requested.pop()} for item in named]
    entries += [
        {**TEXT, "sortOrder": first + requested.pop()} for _ in range(data.draw(st.integers(0, min(2, len(requested)))))
    ]
    entries += [TEXT] * data.draw(st.integers(0, 3))
    entries = data.draw(st.permutations(entries))
    reply = gallery.send("UpdateGallery", gallery={"items": entries})
    assert reply.outcome == "accepted", reply
    created = [entry for entry in entries if "id" not in entry]
    if created:
        assert gallery.send("CreateItems", items=[{**TEXT, "title": "next"}, TEXT]).outcome == "accepted"
    gallery.world.order(gallery.id)
