"""The explanation of why bytes are not JSON, with line and column."""

import pytest
from pydantic import ValidationError

from triptych.contract.base import WireModel
from triptych.contract.violations import violations_of


class Anything(WireModel):
    """Accepts every object."""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{nope", "key must be a string at line 1 column 2"),
        (b'{"a":1', "EOF while parsing an object at line 1 column 6"),
        (b'{"a":1}\n x', "trailing characters at line 2 column 2"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark, which JSON does not allow, at line 1 column 1"),
        ("{}".encode("utf-16"), "it is UTF-16, and JSON is UTF-8, at line 1 column 1"),
        ('{\n"a":"gr\xf6\xdfe"}'.encode("latin-1"), "the byte 0xf6 at line 2 column 8 is not UTF-8"),
        (b"\x1f\x8b\x08", "the byte 0x8b at line 1 column 2 is not UTF-8"),
        (b"", "EOF while parsing a value at line 1 column 0"),
    ],
)
def test_the_cause_with_line_and_column(text: bytes, problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Anything.model_validate_json(text)
    (violation,) = violations_of(refused.value)
    assert violation.description == f"must be JSON: {problem}"
    assert violation.to_wire()["data"] == {"expected": "JSON"}
