"""The first items of galleries in memory."""

from hypothesis import given
from hypothesis import strategies as st

from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.projector.join.head_cache import CACHED_ITEMS_MAX, FirstItems, HeadCache
from triptych.projector.view.fold import View

_PLACES = st.integers(-1_000, 1_000)
_CHANGES = st.lists(st.tuples(st.integers(0, 400), st.none() | _PLACES), max_size=150)


@given(st.integers(0, 400), _CHANGES)
def test_a_window_is_the_beginning_of_the_gallery_or_says_that_it_is_not_enough(
    count: int, changes: list[tuple[int, int | None]]
) -> None:
    items = {number: float(-number) for number in range(count)}
    first_items = FirstItems(
        ((str(number), place, b"%d" % number) for number, place in list(items.items())[:CACHED_ITEMS_MAX]),
        is_whole=count <= CACHED_ITEMS_MAX,
    )
    for number, place in changes:
        if place is None:
            items.pop(number, None)
            first_items.remove(str(number))
        else:
            items[number] = place + number / 1_000  # sort orders are unique
            first_items.put(str(number), items[number], b"%d" % number)
        if first_items.is_sufficient:
            expected = sorted(items, key=lambda number: -items[number])[:HEAD_ITEMS_MAX]
            assert first_items.first() == [b"%d" % number for number in expected]


def test_what_was_touched_longest_ago_is_forgotten_first() -> None:
    head_cache = HeadCache(bytes_max=3_000)
    for name in ("a", "b", "a", "c"):
        head_cache.keep(View("s", name), FirstItems([("i", 1.0, b"x" * 1_000)], is_whole=True))
    head_cache.trim()
    assert [head_cache.first_items(name) is not None for name in "abc"] == [True, False, True]
    assert head_cache.view("b") is None
    head_cache.update_view(View("s", "a", 7))
    head_cache.update_view(View("s", "b", 7))
    assert head_cache.view("a") == View("s", "a", 7)
    assert head_cache.view("b") is None
    head_cache.clear()
    assert (head_cache.view("a"), head_cache.first_items("a")) == (None, None)
