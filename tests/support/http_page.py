"""The parts of `docs/http.md` that tests run."""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "http.md"


class Call(NamedTuple):
    """A row of the table."""

    name: str
    javascript: str
    curl: str


def block(language: str) -> str:
    """The first code block in this language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def calls() -> list[Call]:
    """The rows of the table of calls."""
    rows = re.findall(r"^\| ([a-z ]+) \| `(await .*?)` \| `(api .*?)` \|$", PAGE.read_text(), re.MULTILINE)
    return [Call(*row) for row in rows]
