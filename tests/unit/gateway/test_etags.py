"""Entity tags and what is compared with them."""

import pytest

from services.gateway.errors import Invalid
from services.gateway.etags import etag_of, expected_sequence, is_named


def test_a_tag_tells_sequence_and_content() -> None:
    assert etag_of(b"a", 12).startswith('"12-')
    assert etag_of(b"a", 12) != etag_of(b"b", 12)
    assert etag_of(b"a", 12) != etag_of(b"a", 13)
    assert "-" not in etag_of(b"a", None)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('"1-ab"', True),
        ('W/"1-ab"', True),
        ('"x", "1-ab"', True),
        ("*", True),
        ('"1"', False),
        ("1-ab", False),
        (None, False),
    ],
)
def test_if_none_match(condition: str | None, expected: bool) -> None:
    assert is_named('"1-ab"', condition) is expected


@pytest.mark.parametrize(
    ("condition", "expected"), [(None, None), ("*", None), ('"7"', 7), ('"0"', 0), (etag_of(b"body", 31), 31)]
)
def test_if_match_expects_a_sequence(condition: str | None, expected: int | None) -> None:
    assert expected_sequence(condition) == expected


@pytest.mark.parametrize(
    "condition", ["", "7", 'W/"7"', '"-1"', '"7", "8"', etag_of(b"", None), f'"{"9" * 19}"', '"٣"']
)
def test_other_tags_are_refused(condition: str) -> None:
    with pytest.raises(Invalid) as caught:
        expected_sequence(condition)
    assert caught.value.violations[0].field == "If-Match"
