"""A written cursor is read back, and any other text is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triptych.webhooks.store.cursors import EXAMPLE, InvalidCursor, read_cursor, write_cursor

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, st.uuids().map(str))
def test_a_written_cursor_is_read_back(at: datetime, event_id: str) -> None:
    assert read_cursor(write_cursor(at, event_id)) == (at, event_id)


def test_the_example_is_a_cursor() -> None:
    assert write_cursor(*read_cursor(EXAMPLE)) == EXAMPLE


OFFSETS = st.sampled_from(["", "Z", "+00:00", "-00:00", "+14:00", "-14:00", "+23:59:59.999999", "+24:00"])
DATES = st.one_of(
    st.datetimes().map(datetime.isoformat), st.sampled_from(["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
)
NEARLY = st.builds(
    "{}{}{}{}".format, DATES, OFFSETS, st.sampled_from(["|", "", "||", "\0|"]), st.uuids().map(str) | st.text()
)


@given(NEARLY | st.text())
@example("0001-01-01T00:00:00+14:00|x")
@example("9999-12-31T23:59:59-14:00|x")
@example(EXAMPLE.replace("2026", "\u0662\u0660\u0662\u0666"))
def test_any_text_is_a_moment_in_utc_or_refused(text: str) -> None:
    try:
        at, event_id = read_cursor(text)
    except InvalidCursor:
        return
    assert at.utcoffset() == timedelta(0)
    assert write_cursor(at, event_id) == text


@pytest.mark.parametrize("offset", ["Z", "+01:00", ""])
def test_other_spellings_are_refused(offset: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(EXAMPLE.replace("+00:00", offset))
