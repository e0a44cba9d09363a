"""Decides which files of the repository the documentation site contains, and which pages an entry of its menu names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/**/*.md"),
    *("schemas/README.md", "schemas/published/README.md"),
    *("tests/README.md", "tests/conformance/README.md", "benchmarks/README.md"),
    *("examples/README.md", "examples/*/README.md"),
)
# The programs of the examples too, so that a reader of the site can have them.
PROGRAMS = ("*.mjs", "package.json", "*.py", "*.sh", "*/main.go", "go.*", "pom.xml", "src/main/java/shop/*.java")
DATA = ("docs/images/*.png", "schemas/published/**/*.json", *(f"examples/*/{name}" for name in PROGRAMS))

Entry: TypeAlias = "str | Mapping[str, str | Sequence[Entry]]"
"""An entry of a menu, as in `mkdocs.yml`: a page, a page with a title, or a part of the menu with its title."""


def files() -> list[str]:
    """The files of the site by their path in the repository, which is their path in the site too.

    So a relative link between two of them is the same on a forge and in the site.
    """
    return [path.relative_to(ROOT).as_posix() for pattern in (*PAGES, *DATA) for path in sorted(ROOT.glob(pattern))]


def expanded(menu: Iterable[Entry], names: Sequence[str]) -> list[Entry]:
    """A menu in which each path with a `*` is replaced by the `names` that it matches.

    Raises:
        ValueError: A path with a `*` matches none of the names.
    """
    return [found for entry in menu for found in _expanded(entry, names)]


def _expanded(entry: Entry, names: Sequence[str]) -> Iterator[Entry]:
    if isinstance(entry, str):
        yield from _matching(entry, names) if "*" in entry else (entry,)
        return
    for title, inner in entry.items():
        yield {title: inner if isinstance(inner, str) else expanded(inner, names)}


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if Path(name).match(pattern)]
    if not found:
        raise ValueError(f"the menu names {pattern}, and there is no such page")
    return found


def pages_of(menu: Iterable[Entry]) -> Iterator[str]:
    """The pages that an expanded menu names, in its order."""
    for entry in menu:
        if isinstance(entry, str):
            yield entry
            continue
        for inner in entry.values():
            yield from (inner,) if isinstance(inner, str) else pages_of(inner)
