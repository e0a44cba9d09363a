"""The cache of galleries and their first items."""

from hypothesis import given
from hypothesis import strategies as st

from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.projector.join.head_cache import _ENTRY_BYTES, CACHED_ITEMS_MAX, FirstItems, HeadCache
from triptych.projector.view.fold import View

_SORT_ORDERS = st.integers(-1_000, 1_000)
_SAME = "same"
"""Instead of a sort order: the item stays in its place."""
_CHANGES = st.lists(st.tuples(st.integers(0, 400), st.none() | st.just(_SAME) | _SORT_ORDERS), max_size=150)


@given(st.integers(0, 400), _CHANGES)
def test_cached_items_are_the_first_items_of_the_gallery_or_say_that_they_are_too_few(
    count: int, changes: list[tuple[int, str | int | None]]
) -> None:
    items = {number: float(-number) for number in range(count)}
    contents = {number: b"%d" % number for number in range(401)}
    first_items = FirstItems(
        ((str(number), sort_order, contents[number]) for number, sort_order in list(items.items())[:CACHED_ITEMS_MAX]),
        is_whole=count <= CACHED_ITEMS_MAX,
    )
    for number, sort_order in changes:
        if sort_order is None or (sort_order == _SAME and number not in items):
            items.pop(number, None)
            first_items.remove(str(number))
        else:
            if not isinstance(sort_order, str):
                items[number] = sort_order + (number + 1) / 1_000  # sort orders are unique
            contents[number] += b"+"
            first_items.put(str(number), items[number], contents[number])
        if first_items.is_sufficient:
            expected = sorted(items, key=lambda number: -items[number])[:HEAD_ITEMS_MAX]
            assert first_items.first() == [contents[number] for number in expected]
    assert first_items.size == sum(len(encoded) + _ENTRY_BYTES for _, encoded in first_items._items.values())


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
