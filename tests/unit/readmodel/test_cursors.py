"""Opaque cursors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.readmodel.cursors import InvalidCursor, read_cursor, write_cursor


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_cursor_is_read_back(sort_order: float) -> None:
    assert read_cursor(write_cursor(sort_order)) == sort_order


@given(st.text())
def test_other_texts_are_refused_or_written_alike(text: str) -> None:
    try:
        sort_order = read_cursor(text)
    except InvalidCursor:
        return
    assert write_cursor(sort_order) == text


@pytest.mark.parametrize("cursor", ["", "x", "é", write_cursor(1)[:-1], "AX_wAAAAAAAA", "AX_4AAAAAAAA", "AkAAAAAAAAAA"])
def test_what_no_page_was_left_with_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(cursor)
