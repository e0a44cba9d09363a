"""The menu of the documentation site leads to every page, and every link of a page leads to a file of the site."""

from typing import Any

import pytest
import yaml

from docs.site.content import ROOT, Entry, expanded, files, pages_of
from tests.support.citations import links


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Reads `mkdocs.yml` without what its tags name: functions of Markdown's extensions."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
CONFIG: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)  # noqa: S506 - it is a SafeLoader
FILES = files()
PAGES = [name for name in FILES if name.endswith(".md")]
MADE = "reference/"
"""Where the pages are that the build makes from the code."""


def test_the_menu_has_every_page_once() -> None:
    shown = [name for name in pages_of(expanded(CONFIG["nav"], FILES)) if not name.startswith(MADE)]
    assert sorted(shown) == sorted(PAGES), "add the page to `nav` in mkdocs.yml"
    assert {f"docs/users/{path.name}" for path in (ROOT / "docs" / "users").iterdir()} <= set(shown)


def test_every_kind_of_user_has_a_part_of_the_menu_that_begins_with_a_page_for_them() -> None:
    parts = [next(iter(part.values())) for part in CONFIG["nav"]]
    first = [part[0] for part in parts if isinstance(part, list) and part[0].startswith("docs/users/")]
    assert sorted(first) == [name for name in PAGES if name.startswith("docs/users/")]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_of_the_site(page: str) -> None:
    targets = [
        (ROOT / page).parent / link.partition("#")[0] for link in links((ROOT / page).read_text()) if link[0] != "#"
    ]
    assert {target.resolve().relative_to(ROOT).as_posix() for target in targets} <= set(FILES)


def test_nothing_is_configured_to_come_from_another_host() -> None:
    assert CONFIG["theme"]["font"] is False
    assert "://" not in (ROOT / "mkdocs.yml").read_text()


def test_a_pattern_is_replaced_by_the_pages_that_it_matches_in_order() -> None:
    menu: list[Entry] = ["a.md", {"Part": ["b/README.md", "b/0*.md", {"Title": "c.md"}]}]
    names = ["a.md", "b/0001.md", "b/0002.md", "b/README.md", "c.md"]
    full = expanded(menu, names)
    assert full == ["a.md", {"Part": ["b/README.md", "b/0001.md", "b/0002.md", {"Title": "c.md"}]}]
    assert list(pages_of(full)) == ["a.md", "b/README.md", "b/0001.md", "b/0002.md", "c.md"]


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="the menu names x/"):
        expanded([{"Part": ["x/*.md"]}], ["a.md"])
