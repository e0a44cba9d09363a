"""What code, tests and pages refer to is there: rules of the contract, pages and anchors, modules and files."""

from functools import cache
from pathlib import Path

import pytest

from tests.support.citations import Rules, anchors, broken_links, links, missing_pages
from tests.support.code_names import files_below, is_missing
from tests.support.pages import ROOT, inline_code

CONTRACT = ROOT / "docs" / "contract.md"
RULES = Rules.read(CONTRACT.read_text())
CITING = ("services", "schemas", "deploy", "tests", "benchmarks", "docs")
KINDS = (".py", ".md", ".json", ".mjs", ".yml", ".yaml", ".toml")
OWN = Path(__file__).resolve()
DOCS = sorted((ROOT / "docs").rglob("*.md"))
OTHERS = ("tests/*.md", "tests/conformance/*.md", "benchmarks/*.md", "examples/*.md", "examples/*/*.md")
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS, *(page for where in OTHERS for page in sorted(ROOT.glob(where)))]

PAGE = """\
# The contract

## 4. Sort order

1. The first rule.
2. The second one.

### 4.1 Of items

### D7

```text
## 5. Not a heading
```
"""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def citing_texts() -> dict[str, str]:
    files = [file for folder in CITING for file in files_below(ROOT / folder)]
    return {name(file): file.read_text() for file in files if file.suffix in KINDS and file not in (OWN, CONTRACT)}


def test_every_citation_of_the_contract_resolves() -> None:
    assert not {where: unknown for where, text in citing_texts().items() if (unknown := RULES.unknown(text))}
    assert sum("contract, section" in text for text in citing_texts().values()) > 50


def test_the_contract_cites_itself_correctly() -> None:
    assert not RULES.unknown(CONTRACT.read_text(), is_contract=True)
    assert RULES.decisions == {str(number) for number in range(1, 26)}


def test_every_page_that_code_names_exists() -> None:
    code = {where: text for where, text in citing_texts().items() if where.endswith(".py")}
    assert not {where: gone for where, text in code.items() if (gone := missing_pages(text, ROOT))}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_resolves(page: Path) -> None:
    assert not list(broken_links(page))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_module_and_file_that_a_page_names_exists(page: Path) -> None:
    assert not [code for code in inline_code(page) if is_missing(code, ROOT)]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("contract, section 4", []),
        ("the contract, sections 4 and 4.1, and D7", []),
        ("(contract, section 4, rule 2)", []),
        ("# as it says (contract,\n    # section 4, rule 1)", []),
        ("RFC 9110, section 15.5", []),
        ("GUID 0D7-D9", []),
        ("contract, section 5", ["contract, section 5"]),
        ("the contract (section 4.2)", ["contract (section 4.2"]),
        ("contract, sections 4 and 6", ["contract, sections 4 and 6"]),
        ("contract, section 4, rule 3", ["contract, section 4, rule 3"]),
        ("contract, section 4.1, rule 1", ["contract, section 4.1, rule 1"]),
        ("# (contract,\n    # section 9)", ["contract, section 9"]),
        ("(D8)", ["D8"]),
        ("wire contract, 4", ["wire contract"]),
        ("(design, section 4)", ["design, section 4"]),
    ],
)
def test_a_citation_is_unknown_if_its_number_has_no_heading(text: str, unknown: list[str]) -> None:
    assert Rules.read(PAGE).unknown(text) == unknown


def test_within_the_contract_a_section_needs_no_name() -> None:
    rules = Rules.read(PAGE)
    assert rules.unknown("see section 4.1, and section 9", is_contract=True) == ["section 9"]
    assert not rules.unknown("see section 9 of another page")


def test_a_page_is_missing_if_it_or_its_promise_is_not_there() -> None:
    text = (
        "(docs/contract.md) (docs/architecture/README.md, I1 to I3) (docs/gone.md) (docs/architecture/README.md, I99)"
    )
    assert missing_pages(text, ROOT) == ["docs/gone.md", "docs/architecture/README.md, I99"]


def test_anchors_are_those_of_github() -> None:
    page = (
        "# One & two: `a_b`\n## [Link](x.md), and more\n## One\n## One\n```text\n# no\n```\n### 9. Where we're (now)\n"
    )
    assert anchors(page) == {"one--two-a_b", "link-and-more", "one", "one-1", "9-where-were-now"}


def test_links_are_those_of_the_text() -> None:
    page = "[a](a.md#x), ![b](b.png), [c\nd](#here), `[e](e.md)`, [f](https://f.example)\n```text\n[g](g.md)\n```\n"
    assert links(page) == ["a.md#x", "b.png", "#here"]


def test_a_link_is_broken_if_its_file_or_its_anchor_is_missing(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# There\n")
    page = tmp_path / "page.md"
    page.write_text("# Here\n[1](other.md#there) [2](#here) [3](other.md#gone) [4](#gone) [5](gone.md) [6](.)\n")
    assert list(broken_links(page)) == ["other.md#gone", "#gone", "gone.md"]


@pytest.mark.parametrize(
    ("code", "is_gone"),
    [
        ("triptych.contract.topics", False),
        ("triptych.contract.topics.Topics", False),
        ("triptych.client.SnapshotAssembler", False),
        ("kit.mongo.fencing", False),
        ("triptych.commands", False),
        ("triptych.events.dead-letter", False),
        ("triptych.command.v1.CreateGallery", False),
        ("docs/contract.md", False),
        ("unit/docs/test_citations.py", False),
        ("schemas/triptych/contract/{item,gallery}.py", False),
        ("application/json", False),
        ("data.field", False),
        ("gateway.ingress", False),
        ("triptych.contract.gone", True),
        ("triptych.contract.topics.Gone", True),
        ("kit.mongo.gone", True),
        ("gateway.gone", True),
        ("docs/gone.md", True),
        ("services/triptych/gone", True),
        ("unit/gone/test_citations.py", True),
        ("schemas/triptych/contract/{item,gone}.py", True),
    ],
)
def test_what_looks_like_code_is_found(code: str, is_gone: bool) -> None:
    assert is_missing(code, ROOT) is is_gone
