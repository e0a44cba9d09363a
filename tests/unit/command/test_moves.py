"""Moving items results in the requested order, however dense the sort orders are."""

import random
import uuid

import pytest

from tests.support.command_domain import SITE, World
from tests.support.volume import examples
from triptych.command.domain.order.moves import NEIGHBOURS_MAX
from triptych.contract.identity import derived_gallery_id

TEXT = {"text": {"html": "x"}}


def gallery_of(world: World, count: int, sort_orders: list[float] | None = None) -> tuple[str, list[str]]:
    items = [TEXT if sort_orders is None else {**TEXT, "sortOrder": sort_orders[index]} for index in range(count)]
    first, rest = items[:500], items[500:]
    reply = world.send("CreateGallery", {"gallery": {"items": first}}, "create")
    gallery_id = derived_gallery_id(SITE, "create")
    ids = list(reply.item_ids or [])
    while rest:
        reply = world.send("CreateItems", {"galleryId": gallery_id, "items": rest[:500]})
        ids += reply.item_ids or []
        rest = rest[500:]
    return gallery_id, ids


def move(world: World, gallery_id: str, order: list[str], item_id: str, target: str, where: str) -> list[str]:
    """Send the move and apply it to the reference list."""
    remaining = [other for other in order if other != item_id]
    data = {"galleryId": gallery_id, "itemId": item_id}
    if where in ("start", "end"):
        data["to"] = where
        position = 0 if where == "start" else len(remaining)
    else:
        data[where] = target
        position = remaining.index(target) + (where == "after")
    reply = world.send("MoveItem", data)
    assert reply.outcome == "accepted", reply
    return [*remaining[:position], item_id, *remaining[position:]]


def test_random_moves_keep_the_order_of_a_reference_list() -> None:
    chance = random.Random(7)
    world = World()
    gallery_id, order = gallery_of(world, 200)
    most = 0
    for _ in range(examples(1_000)):
        item_id, target = chance.sample(order, 2)
        before = len(world.events)
        order = move(world, gallery_id, order, item_id, target, chance.choice(["before", "after", "start", "end"]))
        most = max(most, len(world.events) - before)
    assert world.order(gallery_id) == order
    assert most <= 2 * NEIGHBOURS_MAX + 1


def test_moving_to_the_same_gap_again_and_again_never_runs_out_of_room() -> None:
    world = World()
    gallery_id, order = gallery_of(world, 50)
    for number in range(500):
        # The last item goes right below the first one: the gap there is halved each time.
        order = move(world, gallery_id, order, order[-1], order[0], "after")
        if number % 50 == 0:
            assert world.order(gallery_id) == order
    assert world.order(gallery_id) == order


@pytest.mark.parametrize(
    "sort_orders",
    [
        [1.7e308, 1.6e308, 0.0, -1.6e308, -1.7e308],
        [5e-324, 0.0, -5e-324, 1e-323, -1e-323],
        [2.0**53, 2.0**53 + 2, 2.0**53 + 4, 2.0**53 + 6, 2.0**53 + 8],
        [1e300, 1.0000000000000002e300, 1.0000000000000004e300, 1.0000000000000006e300, 0.0],
    ],
)
def test_extreme_sort_orders_leave_room_too(sort_orders: list[float]) -> None:
    world = World()
    gallery_id, _ = gallery_of(world, 5, sort_orders)
    order = world.order(gallery_id)
    for item_id, target, where in [(0, 3, "after"), (4, 1, "before"), (2, 0, "start"), (1, 0, "end"), (3, 2, "before")]:
        order = move(world, gallery_id, order, order[item_id], order[target], where) if item_id != target else order
        assert world.order(gallery_id) == order


def test_a_move_to_the_present_position_changes_nothing() -> None:
    world = World()
    gallery_id, order = gallery_of(world, 3)
    count = len(world.events)
    for item_id, target, where in [(0, 1, "before"), (1, 0, "after"), (0, 1, "start"), (2, 0, "end")]:
        order = move(world, gallery_id, order, order[item_id], order[target], where)
    assert len(world.events) == count
    assert world.order(gallery_id) == order


def test_a_new_item_is_shown_before_one_that_was_moved_to_the_start() -> None:
    world = World()
    gallery_id, order = gallery_of(world, 3)
    order = move(world, gallery_id, order, order[2], order[0], "start")
    reply = world.send("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
    assert world.order(gallery_id) == [*(reply.item_ids or []), *order]


def test_an_unknown_item_or_neighbour_is_refused() -> None:
    world = World()
    gallery_id, (first, *_) = gallery_of(world, 2)
    stranger = str(uuid.uuid4())
    for data in ({"itemId": stranger, "to": "start"}, {"itemId": first, "before": stranger}):
        reply = world.send("MoveItem", {"galleryId": gallery_id, **data})
        assert reply.error is not None
        assert reply.error.code == "NOT_FOUND"
