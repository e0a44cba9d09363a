"""Opaque cursors."""

from base64 import urlsafe_b64encode

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triptych.readmodel.cursors import InvalidCursor, read_cursor, write_cursor
from triptych.readmodel.gallery_lists import GalleryCursor, GalleryList, read_gallery_cursor


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


@given(st.integers(-(2**44), 2**44) | st.text(), st.text())
def test_a_cursor_of_galleries_is_read_back(key: int | str, gallery_id: str) -> None:
    cursor = GalleryCursor(key, gallery_id)
    assert read_gallery_cursor(str(cursor), is_search=isinstance(key, str)) == cursor
    with pytest.raises(InvalidCursor):
        read_gallery_cursor(str(cursor), is_search=isinstance(key, int))


JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(), st.lists)


@given(st.text() | JSON.map(lambda value: urlsafe_b64encode(orjson.dumps(value)).decode()), st.booleans())
@example(urlsafe_b64encode(b'[1, 5, "x"]').decode(), False)
@example(urlsafe_b64encode(b'[1,-9223372036854775808,"x"]').decode(), False)
@example(urlsafe_b64encode(b'[true,5,"x"]').decode(), False)
def test_other_texts_are_no_cursors_of_galleries(text: str, is_search: bool) -> None:
    try:
        cursor = read_gallery_cursor(text, is_search=is_search)
    except InvalidCursor:
        return
    assert str(cursor) == text
    GalleryList("s", "n" if is_search else None, cursor).query()
