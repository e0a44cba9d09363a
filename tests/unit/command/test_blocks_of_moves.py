"""Moving a block of items results in the order of a reference list, with as few events as possible."""

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command_domain import Gallery
from tests.support.volume import examples
from triptych.command.domain.order.moves import NEIGHBOURS_MAX
from triptych.contract.replies import Reply

TEXT: dict[str, Any] = {"text": {"html": "x"}}


def gallery_of(count: int, sort_orders: list[float] | None = None) -> Gallery:
    if sort_orders is None:
        return Gallery(*[TEXT] * count)
    return Gallery(*({**TEXT, "sortOrder": sort_orders[index]} for index in range(count)))


def reference(order: list[str], block: list[str], target: dict[str, str]) -> list[str]:
    """The order after the move, by lists alone."""
    others = [item for item in order if item not in set(block)]
    (where, name), *_ = target.items()
    position = {"start": 0, "end": len(others)}.get(name)
    if position is None:
        position = others.index(name) + (where == "after")
    return [*others[:position], *block, *others[position:]]


def fewest_changes(order: list[str], expected: list[str], block: list[str]) -> int:
    """How many items of the block have to get another sort order: those outside of a longest run that is in order.

    Quadratic, and by positions alone, unlike the code under test.
    """
    place = {item: number for number, item in enumerate(order)}
    first, last = expected.index(block[0]), expected.index(block[-1])
    above = place[expected[first - 1]] if first else -1
    below = place[expected[last + 1]] if last + 1 < len(expected) else len(order)
    longest: list[int] = []
    for number, item in enumerate(block):
        fits = above < place[item] < below
        earlier = [longest[before] for before in range(number) if place[block[before]] < place[item]]
        longest.append(1 + max(earlier, default=0) if fits else 0)
    return len(block) - max(longest)


def moved(gallery: Gallery, block: list[str], target: dict[str, str]) -> tuple[Reply, list[str]]:
    """The reply, and the ids of the items that have events."""
    count = len(gallery.world.events)
    reply = gallery.send("MoveItems", itemIds=block, **target)
    return reply, [event["actionEvent"]["body"]["updatedItem"]["id"] for event in gallery.world.events[count:]]


@st.composite
def moves(draw: st.DrawFn, size: int) -> tuple[list[int], str, int]:
    """Positions to move, where, and the position of the target among the others."""
    block = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True))
    where = draw(st.sampled_from(["start", "end"] if len(block) == size else ["before", "after", "start", "end"]))
    return block, where, draw(st.integers(0, max(0, size - len(block) - 1)))


def drawn(order: list[str], move: tuple[list[int], str, int]) -> tuple[list[str], dict[str, str]]:
    positions, where, other = move
    block = [order[position] for position in positions]
    if where in ("start", "end"):
        return block, {"to": where}
    others = [item for item in order if item not in block]
    return block, {where: others[other]}


@given(st.lists(moves(9), min_size=1, max_size=8))
@settings(max_examples=examples(100), deadline=None, derandomize=True)
def test_blocks_move_as_in_a_list_and_only_what_changes_its_place_has_an_event(
    steps: list[tuple[list[int], str, int]],
) -> None:
    gallery = gallery_of(9)
    order = gallery.world.order(gallery.id)
    for move in steps:
        block, target = drawn(order, move)
        before = {item: stored.sort_order for item in order if (stored := gallery.world.item(item))}
        reply, changed = moved(gallery, block, target)
        expected = reference(order, block, target)
        assert reply.outcome == "accepted"
        assert reply.item_ids == [item for item in block if item in changed]
        assert gallery.world.order(gallery.id) == expected
        assert len(changed) == len(set(changed)) == fewest_changes(order, expected, block)
        assert set(changed) <= set(block)
        after = {item: stored.sort_order for item in order if (stored := gallery.world.item(item))}
        assert set(changed) == {item for item in order if before[item] != after[item]}
        order = expected


DENSE = [2.0**53 - number for number in range(9)]
EXTREME = [1.7e308, 1.6e308, 5e-324, 0.0, -5e-324, -1.0, -1.6e308, -1.7e308, -1.79e308]


@given(st.sampled_from([DENSE, EXTREME]), st.lists(moves(9), min_size=1, max_size=6))
@settings(max_examples=examples(60), deadline=None, derandomize=True)
def test_blocks_find_room_among_any_sort_orders(
    sort_orders: list[float], steps: list[tuple[list[int], str, int]]
) -> None:
    gallery = gallery_of(9, sort_orders)
    order = gallery.world.order(gallery.id)
    for move in steps:
        block, target = drawn(order, move)
        _, changed = moved(gallery, block, target)
        order = reference(order, block, target)
        assert gallery.world.order(gallery.id) == order
        assert len(changed) == len(set(changed))


def test_the_largest_block_moves_between_consecutive_milliseconds_again_and_again() -> None:
    gallery = gallery_of(500)
    for _ in range(3):
        gallery.send("CreateItems", items=[TEXT] * 500)
    order = gallery.world.order(gallery.id)
    for number in range(20):
        # Each block goes into the one gap below the first item, whose room it uses up.
        block = order[-1_000:][:: 1 if number % 2 else -1]
        _, changed = moved(gallery, block, {"after": order[0]})
        order = reference(order, block, {"after": order[0]})
        assert gallery.world.order(gallery.id) == order
        assert len(changed) <= 1_000 + 2 * NEIGHBOURS_MAX


@pytest.mark.parametrize("target", [{"to": "start"}, {"to": "end"}])
def test_a_block_in_place_has_no_events_and_keeps_the_sequence(target: dict[str, str]) -> None:
    gallery = gallery_of(5)
    order = gallery.world.order(gallery.id)
    block = order[:3] if target["to"] == "start" else order[2:]
    before = gallery.world.unit.heads[gallery.id]
    reply, changed = moved(gallery, block, target)
    assert (reply.item_ids, changed) == ([], [])
    assert gallery.world.unit.heads[gallery.id] == before


def test_a_new_item_is_shown_before_a_block_that_was_moved_to_the_start() -> None:
    gallery = gallery_of(5)
    order = gallery.world.order(gallery.id)
    moved(gallery, order[3:], {"to": "start"})
    created = gallery.send("CreateItems", items=[TEXT])
    assert gallery.world.order(gallery.id) == [*(created.item_ids or []), *order[3:], *order[:3]]


def test_one_unknown_item_refuses_the_move_and_the_reply_names_it() -> None:
    gallery = gallery_of(3)
    (stranger,) = gallery.world.send("CreateGallery", {"gallery": {"items": [TEXT]}}).item_ids or []
    order, unknown = gallery.world.order(gallery.id), str(uuid.uuid4())
    for block, target, data in [
        ([order[2], unknown, stranger], {"to": "start"}, {"itemIds": [unknown, stranger]}),
        ([order[2]], {"before": unknown}, {"itemId": unknown}),
    ]:
        reply, changed = moved(gallery, block, target)
        assert reply.error is not None
        assert (reply.error.code, reply.error.data, changed) == ("NOT_FOUND", data, [])
    assert gallery.world.order(gallery.id) == order
