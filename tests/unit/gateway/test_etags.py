"""Entity tags and what is compared with them."""

import pytest

from triptych.gateway.http.errors import InvalidRequest
from triptych.gateway.http.etags import etag_of, expected_sequences, is_named


def test_a_tag_depends_on_sequence_and_content() -> None:
    assert etag_of(b"a", 12).startswith('"12-')
    assert etag_of(b"a", 12) != etag_of(b"b", 12)
    assert etag_of(b"a", 12) != etag_of(b"a", 13)
    assert "-" not in etag_of(b"a", None)


HASH = "0123456789abcdef"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['"1-ab"'], True),
        (['W/"1-ab"'], True),
        (['"x", "1-ab"'], True),
        (['"x"', 'W/"1-ab"'], True),
        ([',,"x" ,\t,"1-ab",'], True),
        (["*"], True),
        ([" * "], True),
        (['"1"'], False),
        (["1-ab"], False),
        (['"a,"1-ab"'], False),
        (['w/"1-ab"'], False),
        (['"1-AB"'], False),
        ([""], False),
        ([","], False),
        ([], False),
    ],
)
def test_if_none_match(lines: list[str], expected: bool) -> None:
    assert is_named('"1-ab"', lines) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        (["*"], None),
        (['"7"'], (7,)),
        (['"0"'], (0,)),
        ([etag_of(b"body", 31)], (31,)),
        (['"7", "8"'], (7, 8)),
        ([f'"7-{HASH}"', '"8","7"'], (7, 8)),
        ([' , "7" ,, "8" , '], (7, 8)),
        (['W/"7"'], ()),
        (['W/"7", "8"'], (8,)),
        (['"x,y", "8"'], (8,)),
        ([etag_of(b"", None)], ()),
        (['""'], ()),
        (['"-1"'], ()),
        (['"07"'], ()),
        (['"7-x"'], ()),
        ([f'"{"9" * 19}"'], ()),
        ([f'"{2**63 - 1}"'], (2**63 - 1,)),
        ([f'"{"9" * 500}", "1"'], (1,)),
    ],
)
def test_if_match_is_compared_with_sequences(lines: list[str], expected: tuple[int, ...] | None) -> None:
    assert expected_sequences(lines) == expected


@pytest.mark.parametrize(
    "lines",
    [[""], [","], ["7"], ['"7'], ['"7" "8"'], ['"7 8"'], ['"7",8'], ['*, "7"'], ["*", "*"], ['w/"7"'], ['"\u0663"']],
)
def test_a_header_that_is_not_a_list_of_tags_is_refused(lines: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        expected_sequences(lines)
    assert caught.value.violations[0].field == "If-Match"


def test_more_states_than_a_command_names_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        expected_sequences([", ".join(f'"{number}"' for number in range(101))])


def test_if_none_match_forbids_a_write_to_what_exists() -> None:
    assert expected_sequences([], ["*"]) == ()
    assert expected_sequences(['"7"'], ["*"]) == ()
    with pytest.raises(InvalidRequest) as caught:
        expected_sequences([], ['"7"'])
    assert caught.value.violations[0].field == "If-None-Match"
