"""The index of tests (tests/README.md) names tests that exist, in the files that it names."""

import re
from collections.abc import Iterator

import pytest

from tests.support.pages import ROOT

TESTS = ROOT / "tests"
_CODE = re.compile(r"`([^`]+)`")


def named_tests(page: str) -> Iterator[tuple[str, str]]:
    """Each file and test that the second column of the table names. The file comes before its tests."""
    for row in re.findall(r"^\|[^|]*\|([^|]*)\|$", page, re.MULTILINE):
        file = ""
        for code in _CODE.findall(row):
            if code.endswith(".py"):
                file = code
            else:
                yield file, code


def is_defined(file: str, name: str) -> bool:
    path = TESTS / file
    return path.is_file() and re.search(rf"def (test_)?{name}\(", path.read_text()) is not None


INDEX = list(named_tests((TESTS / "README.md").read_text()))


@pytest.mark.parametrize(("file", "name"), INDEX, ids=[name for _, name in INDEX])
def test_a_named_test_exists(file: str, name: str) -> None:
    assert is_defined(file, name)


def test_names_are_found_with_their_files() -> None:
    rows = ["| behaviour | test |", "|---|---|", "| one | `a/test_a.py`: `x`, `y`; `b/test_b.py` |"]
    page = "\n".join([*rows, "| two | `c/test_c.py`: `z` |"])
    assert list(named_tests(page)) == [("a/test_a.py", "x"), ("a/test_a.py", "y"), ("c/test_c.py", "z")]
    assert is_defined("unit/docs/test_index_of_tests.py", "a_named_test_exists")
    assert not is_defined("unit/docs/test_index_of_tests.py", "a_named_test")
    assert not is_defined("unit/docs/test_gone.py", "a_named_test_exists")
