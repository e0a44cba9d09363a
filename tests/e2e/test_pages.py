"""Every command and program of README and docs/ runs as printed, from an empty shell, and prints what they say."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import http_page, listeners_page
from tests.support.checkout import Place, checkout, write_commands
from tests.support.pages import PAGES, ROOT, Block, blocks, indented_blocks, inline_code, is_as_printed
from tests.support.preloaded import preloaded_python
from tests.support.shell import empty_shell
from tests.support.typing_pages import PATIENCE_SECONDS, run_block
from triptych.cli.__main__ import app
from triptych.cli.lazy import loaded
from triptych.contract.replies import Reply
from triptych.devstack.stack import Addresses
from triptych.gateway.api.examples import GALLERY_ID

pytestmark = pytest.mark.xdist_group("pages")

TYPED = ("bash", "sh", "console")
TERMINAL = re.compile(r"\d\d:\d\d:\d\d")
KCAT = shutil.which("kcat") is not None


README = ROOT / "README.md"
DEPLOYING = ROOT / "docs" / "deploying.md"
"""`tests/deploy` types this page: its commands need a Docker engine."""
KUBERNETES = ROOT / "docs" / "kubernetes.md"
"""`tests/helm` types of this page what needs no cluster."""
CONTRIBUTORS = ROOT / "docs" / "users" / "contributors.md"
"""The only page whose commands are for the sources."""
TYPED_ELSEWHERE = (README, DEPLOYING, KUBERNETES, CONTRIBUTORS)


def name_of(page: Path) -> str:
    """A page by its path in the project."""
    return page.relative_to(ROOT).as_posix()


class Beginning(NamedTuple):
    """A checkout in which the README was typed, and nothing before it: it says what the demo gallery is at first."""

    place: Place
    failure: BaseException | None
    """Of the README."""


@pytest.fixture(scope="module")
def beginning(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beginning]:
    """A start takes ten seconds of processor time, so all pages share one."""
    with checkout(stack, tmp_path_factory.mktemp("checkout")) as place:
        failure = None
        try:
            type_page(README, place, tmp_path_factory.mktemp("readme"))
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as raised:  # noqa: BLE001
            failure = raised  # by the test of the README
        yield Beginning(place, failure)


@pytest.fixture(scope="module")
def place(beginning: Beginning) -> Iterator[Place]:
    """What the pages of docs/ share: each makes galleries of its own where it counts.

    The README has started the programs themselves. What other pages start is forked, which saves most of each start.
    """
    with preloaded_python() as python:
        write_commands(beginning.place.folder / ".venv" / "bin", python)
        yield beginning.place


def is_covered_elsewhere(block: Block) -> bool:
    """Whether another test runs this block: the client of docs/http.md, and the code that verifies deliveries."""
    if block.page == "docs/http.md":
        return block.language == "js" and block.text == http_page.block("js")
    if block.page == "docs/listeners.md":
        return block.language in listeners_page.LANGUAGES and listeners_page.is_code_of(block.text, block.language)
    return False


def check_reply(block: Block) -> None:
    """The replies that are shown are replies."""
    decoder, text, end = json.JSONDecoder(), block.text, 0
    while end < len(text.rstrip()):
        shown, end = decoder.raw_decode(text, end + len(text[end:]) - len(text[end:].lstrip()))
        assert Reply.model_validate(shown).model_dump(by_alias=True, exclude_unset=True, mode="json") == shown


def shows(place: Place, printed: str) -> bool:
    """Whether the terminal of `make up` shows this line, or does so soon."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        if any(is_as_printed(printed, line) for line in place.up_output.read_text().splitlines()):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.timeout(180)
def test_the_readme_works_as_printed(beginning: Beginning) -> None:
    if beginning.failure is not None:
        raise beginning.failure


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", [page for page in PAGES if page not in TYPED_ELSEWHERE], ids=name_of)
def test_a_page_works_as_printed(page: Path, place: Place, tmp_path: Path) -> None:
    type_page(page, place, tmp_path)


def test_the_page_for_contributors_works_as_printed(tmp_path: Path) -> None:
    type_page(CONTRIBUTORS, Place(ROOT, ROOT / "none", (), ""), tmp_path)


def type_page(page: Path, place: Place, tmp_path: Path) -> None:
    """Type every block of a page, as printed, and compare what it prints."""
    with empty_shell(place.folder, tmp_path / "notes") as shell:
        left_out = False
        for block in blocks(page):
            if block.language in ("text", "mermaid", "ini", "yaml") or is_covered_elsewhere(block):
                # A drawing, a shape or a file of settings, which nobody runs, or what the terminal of `make up` shows.
                assert not TERMINAL.match(block.text) or shows(place, block.text), f"{block.page}:{block.line}"
                continue
            if block.language == "json":
                check_reply(block)
                continue
            assert block.language in (*TYPED, "python"), f"{block.page}:{block.line}: nobody runs {block.language!r}"
            if "kcat" in block.text and not KCAT:
                left_out = True
                continue
            run_block(block, shell, place)
    if left_out:
        pytest.skip("the blocks with kcat were not run: there is no kcat here")


def test_what_the_pages_say_of_the_terminal_is_there(place: Place) -> None:
    printed = place.up_output.read_text()
    assert GALLERY_ID in printed
    assert "site default" in printed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_within_the_text_exist(page: Path) -> None:
    assert not indented_blocks(page), "a block without a language: would anybody run it?"
    for code in inline_code(page):
        words = code.split()
        assert words[:1] != ["triptych"] or len(words) == 1, f"{code}: there is no `triptych` in an empty shell"
        if words[:1] == [".venv/bin/triptych"]:
            command: Any = loaded(app)
            for word in words[1:]:
                if hasattr(command, "commands"):
                    assert word in command.commands, code
                    command = command.commands[word]
                elif word.startswith("--"):
                    assert any(word in (*one.opts, *one.secondary_opts) for one in command.params), code


def test_the_readme_is_among_the_pages() -> None:
    assert README in PAGES
    assert sum(len(blocks(page)) for page in PAGES) > 30
