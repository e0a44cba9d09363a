"""How pages are read: what counts as a command, and when real output is what a page prints."""

import pytest

from tests.support.pages import Block, Step, is_as_printed, steps

ID, OTHER = "59f351de-7c4e-4f0c-8a34-0c3c0d0e7b53", "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("page", "real"),
    [
        ("all the same", "all the same\n"),
        (f'{{"id":"{ID}","n":3,…}}', f'{{"id":"{OTHER}","n":3,"m":4}}'),
        ("02:52:52.858  f923b945  #5", "03:00:00.000  f923b945  #5"),
        ("first\n…\nlast", "first\nlast"),
        ("first\n…\nlast", "first\n1\n2\nlast"),
        ("…\nlast", "1\nlast"),
    ],
)
def test_what_varies_may_vary(page: str, real: str) -> None:
    assert is_as_printed(page, real)


@pytest.mark.parametrize(
    ("page", "real"),
    [
        ("", "something"),
        ("something", ""),
        ('{"n":3,…}', '{"n":4,"m":4}'),
        ("02:52:52.858  f923b945  #5", "03:00:00.000  f923b945  #6"),
        ("one line …", "one line\nand another"),
        (f'{{"id":"{ID}"}}', '{"id":"nothing"}'),
        ("first\n…\nlast", "first\n1"),
    ],
)
def test_everything_else_may_not(page: str, real: str) -> None:
    assert not is_as_printed(page, real)


def test_commands_are_taken_whole() -> None:
    console = Block("page", 1, "console", "$ a \\\n    | b\nprinted\n$ echo 'x\ny'\n")
    assert steps(console) == [Step("a \\\n    | b", "printed"), Step("echo 'x\ny'", None)]
    bash = Block("page", 1, "bash", "# why\nf() {\n  a\n}\n\nb |\n  c\n")
    assert steps(bash) == [Step("f() {\n  a\n}", None), Step("b |\n  c", None)]
