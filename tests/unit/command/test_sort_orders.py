"""Default sort orders for elements that have none (contract, section 4)."""

from hypothesis import given
from hypothesis import strategies as st

from triptych.command.domain.order.sort_orders import first_repeated, new_list_sort_orders, sort_orders_above

NOW = 1_700_000_000_000
asked = st.lists(st.one_of(st.none(), st.integers(NOW - 5, NOW + 5).map(float)), max_size=12)


def test_a_new_list_is_shown_in_the_order_given() -> None:
    assert new_list_sort_orders([None, None, None], NOW) == [NOW, NOW - 1, NOW - 2]


def test_requested_values_are_kept_and_no_default_takes_them() -> None:
    assert new_list_sort_orders([None, NOW - 1.0, None], NOW) == [NOW, NOW - 1, NOW - 2]


def test_added_items_are_shown_in_the_order_given_above_the_base() -> None:
    assert sort_orders_above([None, None, None], NOW, ()) == [NOW + 2, NOW + 1, NOW]


def test_taken_milliseconds_are_skipped() -> None:
    assert sort_orders_above([None, None], NOW, {float(NOW), NOW + 2.0}) == [NOW + 3, NOW + 1]


def test_the_first_repetition_is_found() -> None:
    assert first_repeated([1.0, 2.0, 1.0, 2.0]) == 2
    assert first_repeated([1.0, 2.0]) is None


@given(asked)
def test_defaults_of_a_new_list_never_repeat_and_fall(wanted: list[float | None]) -> None:
    sort_orders = new_list_sort_orders(wanted, NOW)
    defaults = [sort_order for want, sort_order in zip(wanted, sort_orders, strict=True) if want is None]
    assert defaults == sorted(set(defaults), reverse=True)
    assert not set(defaults) & {want for want in wanted if want is not None}


@given(asked, st.sets(st.integers(NOW, NOW + 20).map(float)))
def test_defaults_above_a_base_are_free_and_fall(wanted: list[float | None], taken: set[float]) -> None:
    sort_orders = sort_orders_above(wanted, NOW, taken)
    defaults = [sort_order for want, sort_order in zip(wanted, sort_orders, strict=True) if want is None]
    assert defaults == sorted(set(defaults), reverse=True)
    assert all(sort_order >= NOW for sort_order in defaults)
    assert not set(defaults) & (taken | {want for want in wanted if want is not None})
