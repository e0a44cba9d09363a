"""The cache of galleries and their first items."""

from hypothesis import given
from hypothesis import strategies as st

from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.projector.join.head_cache import CACHED_ITEMS_MAX, FirstItems, HeadCache
from triptych.projector.view.fold import View

_SORT_ORDERS = st.integers(-1_000, 1_000)
_CHANGES = st.lists(st.tuples(st.integers(0, 400), st.none() | _SORT_ORDERS), max_size=150)


@given(st.integers(0, 400), _CHANGES)
def test_cached_items_are_the_first_items_of_the_gallery_or_say_that_they_are_too_few(
    count: int, changes: list[tuple[int, int | None]]
) -> None:
    items = {number: float(-number) for number in range(count)}
    first_items = FirstItems(
        ((str(number), sort_order, b"%d" % number) for number, sort_order in list(items.items())[:CACHED_ITEMS_MAX]),
        is_whole=count <= CACHED_ITEMS_MAX,
    )
    for number, sort_order in changes:
        if sort_order is None:
            items.pop(number, None)
            first_items.remove(str(number))
        else:
            items[number] = sort_order + (number + 1) / 1_000  # sort orders are unique
            first_items.put(str(number), items[number], b"%d" % number)
        if first_items.is_sufficient:
            expected = sorted(items, key=lambda number: -items[number])[:HEAD_ITEMS_MAX]
            assert first_items.first() == [b"%d" % number for number in expected]


def test_the_least_recently_used_gallery_is_dropped_first() -> None:
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
