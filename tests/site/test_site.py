"""The documentation site is complete, shows pages as a forge does, needs no other host, and can be searched."""

import html
import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs.site.content import ROOT, files

PAGES = [name for name in files() if name.endswith(".md")]
_LOADING = re.compile(r"<(?:script|img|iframe|source|video|audio|embed|object|use|link)\b[^>]*>")
_TARGET = re.compile(r"\b(?:src|srcset|href|data)=\"?([^\"\s>]+)")
_RELATION = re.compile(r"\brel=\"?(?:canonical|alternate|prev|next|edit)\b")
_STYLE = re.compile(r"url\([\"']?(?:https?:)?//|@import")
_FORGE = MarkdownIt("commonmark").enable("table")
COUNTED = {"table_open": "<table", "list_item_open": "<li", "fence": "<pre", "heading_open": r"<h[1-6]\b"}


def built(site: Path, name: str) -> str:
    """The built page of a file."""
    path = Path(name)
    place = path.parent if path.name == "README.md" else path.with_suffix("")
    return (site / place / "index.html").read_text()


def article(page: str) -> str:
    """What of a built page is from its file."""
    return page[page.index("<article") : page.index("</article>")]


def test_nothing_that_a_page_loads_is_on_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        for tag in _LOADING.findall(page.read_text()):
            if not _RELATION.search(tag):
                assert not [one for one in _TARGET.findall(tag) if re.match(r"(?:https?:)?//", one)], (page, tag)
    styles = sorted(site.rglob("*.css"))
    assert styles
    assert not [style for style in styles if _STYLE.search(style.read_text())]


def test_a_page_with_a_drawing_loads_what_draws_it_from_the_site(site: Path) -> None:
    pages = [path for path in site.rglob("*.html") if 'class="mermaid"' in path.read_text()]
    assert len(pages) >= 5
    for path in pages:
        scripts = re.findall(r'<script src="([^"]*mermaid[^"]*)"></script>', path.read_text())
        assert [(path.parent / script).resolve().is_file() for script in scripts] == [True], path


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_tables_lists_blocks_and_headings_that_a_forge_shows(site: Path, name: str) -> None:
    tokens = [token.type for token in _FORGE.parse((ROOT / name).read_text())]
    tokens = ["fence" if one == "code_block" else one for one in tokens]
    shown = article(built(site, name))
    assert {kind: len(re.findall(tag, shown)) for kind, tag in COUNTED.items()} == {
        kind: tokens.count(kind) for kind in COUNTED
    }


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("tombstone", "docs/consumers/"),
        ("fenced epoch", "docs/decisions/0001-fence-by-epoch/"),
        ("Idempotency-Key", "docs/http/"),
        ("createGallery", "reference/http-operations/"),
        ("SnapshotStarted", "reference/topics/"),
        ("TriptychWaiting", "docs/operations/alerts/"),
        ("TRIPTYCH_COMPRESSION", "docs/settings/"),
    ],
)
def test_search_finds_words(site: Path, words: str, place: str) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_bytes())["docs"]
    found = {
        entry["location"].partition("#")[0]
        for entry in entries
        if all(word.lower() in html.unescape(f"{entry['title']} {entry['text']}").lower() for word in words.split())
    }
    assert place in found


def test_the_index_of_the_search_has_every_page(site: Path) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_bytes())["docs"]
    indexed = {entry["location"] for entry in entries}
    wanted = {name.removesuffix("README.md") if name.endswith("README.md") else f"{name[:-3]}/" for name in PAGES}
    assert wanted <= indexed


def test_the_documents_can_be_downloaded(site: Path) -> None:
    for name in ("reference/openapi.json", "schemas/published/asyncapi.json", "schemas/published/replies/Reply.json"):
        assert json.loads((site / name).read_bytes())
