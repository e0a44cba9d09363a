"""Every command and program of README and docs/ runs as printed, from an empty shell, and prints what they say."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support import http_page, listeners_page
from tests.support.installation import open_installation
from tests.support.pages import PAGES, ROOT, Block, blocks, indented_blocks, inline_code, is_as_printed, program, steps
from tests.support.preloaded import preloaded_python
from tests.support.shell import Outcome, Shell, empty_shell
from triptych.cli.__main__ import app
from triptych.cli.lazy import loaded
from triptych.contract.replies import Reply
from triptych.devstack.ports import free_ports
from triptych.devstack.stack import Addresses
from triptych.gateway.api.examples import DEV_KEY, GALLERY_ID

pytestmark = pytest.mark.xdist_group("pages")

TYPED = ("bash", "sh", "console")
TERMINAL = re.compile(r"\d\d:\d\d:\d\d")
NOT_TYPED = {
    "make up": "the fixture has done what it does, with servers that were there",
    "make test": "this is it",
    "make cluster": "tests/resilience/cluster does, in `make soak`",
    "TRIPTYCH_TEST_RESTARTS": "`make soak` does",
    "docker compose up": "`make test-deploy` does, because it needs a Docker engine",
}
# They run until somebody ends them; they have printed enough when they have printed what the page says.
ENDLESS = ("curl -sN", "galleries.py", "shop_events.py")
# A reader's next command comes seconds later; a test's comes at once, and what it looks for may not be there yet.
LOOKS_AGAIN = ("kcat -C", "cat received.txt")
PATIENCE_SECONDS = 15.0
START_SECONDS = 90.0
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


class Place(NamedTuple):
    """Where Triptych runs, and what its pages call it."""

    folder: Path
    up_output: Path
    names: tuple[tuple[str, str], ...]
    """As printed, and here."""
    gateway: str

    def here(self, printed: str) -> str:
        for name, own in self.names:
            printed = printed.replace(name, own)
        return printed

    def as_printed(self, own_output: str) -> str:
        for name, own in self.names:
            own_output = own_output.replace(own, name)
        return own_output


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


@contextmanager
def checkout(stack: Addresses, folder: Path) -> Iterator[Place]:
    """A checkout after `make up`, whose shell knows nothing of where the servers are."""
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    write_commands(commands, shlex.quote(sys.executable))
    *ports, hooks_port, other_hooks_port = free_ports(6)
    services = ("gateway", "command", "projector", "webhooks")
    with asyncio.Runner() as runner:
        opened = open_installation(stack)
        installation = runner.run(opened.__aenter__())
        try:
            fields = {f"{service}_port": port for service, port in zip(services, ports, strict=True)}
            environ = {**os.environ, **installation.environ(**fields), "TRIPTYCH_STACK": "external"}
            gateway = f"127.0.0.1:{ports[0]}"
            topics = installation.topics
            names = (
                ("127.0.0.1:8080", gateway),
                ("127.0.0.1:9092", stack.kafka_bootstrap),
                ("127.0.0.1:9000", f"127.0.0.1:{hooks_port}"),
                ('("127.0.0.1", 9000)', f'("127.0.0.1", {hooks_port})'),
                ("127.0.0.1:9001", f"127.0.0.1:{other_hooks_port}"),
                ('("127.0.0.1", 9001)', f'("127.0.0.1", {other_hooks_port})'),
                ("triptych.commands", topics.commands),
                ("triptych.replies", topics.replies),
                ("triptych.galleries", topics.galleries),
                # The client has the prefix of the topics as a default.
                ('source="shop"', f'source="shop", topic_prefix="{topics.prefix}"'),
                ('SQLiteStorage("galleries.db")', f'SQLiteStorage("galleries.db"), topic_prefix="{topics.prefix}"'),
                ('group_id="shop"', f'group_id="{topics.prefix}shop", topic_prefix="{topics.prefix}"'),
            )
            output = folder / "up.txt"
            with output.open("w") as file:
                up = subprocess.Popen(
                    [commands / "triptych", "up"], env=environ, cwd=folder, stdout=file, stderr=subprocess.STDOUT
                )
            try:
                ends = time.monotonic() + START_SECONDS
                while "Events, as they happen" not in output.read_text():
                    assert up.poll() is None, output.read_text()
                    assert time.monotonic() < ends, output.read_text()
                    time.sleep(0.05)
                yield Place(folder, output, names, f"http://{gateway}")
                children = children_of(up.pid)
            finally:
                up.terminate()
                status = up.wait(60)
            # SIGTERM ends it as Ctrl-C does.
            assert (status, len(children)) == (0, 4)
            assert not any(Path(f"/proc/{pid}").exists() for pid in children)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def write_commands(folder: Path, python: str) -> None:
    """Write what a checkout has in `.venv/bin`; `python` is what a shell runs for it."""
    for name, words in (("triptych", "-m triptych.cli"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {python} {words} "$@"\n')
        script.chmod(0o755)


def children_of(pid: int) -> list[str]:
    """The processes that a process has started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_covered_elsewhere(block: Block) -> bool:
    """Whether another test runs this block: the client of docs/http.md, and the code that verifies deliveries."""
    if block.page == "docs/http.md":
        return block.language == "js" and block.text == http_page.block("js")
    if block.page == "docs/listeners.md":
        return any(
            block.language == language and re.search(rf"(def|function|func) {function}\(", block.text)
            for language, function in listeners_page.CALLS
        )
    return False


def check_reply(block: Block) -> None:
    """The replies that are shown are replies."""
    decoder, text, end = json.JSONDecoder(), block.text, 0
    while end < len(text.rstrip()):
        shown, end = decoder.raw_decode(text, end + len(text[end:]) - len(text[end:].lstrip()))
        assert Reply.model_validate(shown).model_dump(by_alias=True, exclude_unset=True, mode="json") == shown


def run_block(block: Block, shell: Shell, place: Place) -> None:
    if block.language == "python":
        name, text = program(block)
        place.folder.joinpath(name or "program.py").write_text(place.here(text))
        if name is None:
            check(block, ".venv/bin/python program.py", None, shell, place)
        return
    for step in steps(block):
        if not any(step.command.startswith(command) for command in NOT_TYPED):
            check(block, step.command, step.prints, shell, place)


def check(block: Block, command: str, prints: str | None, shell: Shell, place: Place) -> None:
    where = f"{block.page}:{block.line}: {command}"

    def is_printed(outcome: Outcome) -> bool:
        return is_as_printed(prints or "", place.as_printed(outcome.output))

    if any(word in command for word in ENDLESS):
        started = time.monotonic()

        def is_enough(outcome: Outcome) -> bool:
            nonlocal started
            if time.monotonic() > started + 1:
                started = time.monotonic()
                happen(place)
            return is_printed(outcome)

        outcome = shell.run_until(place.here(command), is_enough)
        assert is_printed(outcome), f"{where}\n{outcome}"
        return
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome = shell.run(place.here(command))
        is_right = outcome.status == 0 and is_printed(outcome)
        if is_right or not command.startswith(LOOKS_AGAIN) or time.monotonic() > ends:
            break
    assert outcome.status == 0, f"{where}\n{outcome}"
    assert is_printed(outcome), f"{where}\nexpected:\n{prints}\nprinted:\n{outcome}"


def shows(place: Place, printed: str) -> bool:
    """Whether the terminal of `make up` shows this line, or does so soon."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        if any(is_as_printed(printed, line) for line in place.up_output.read_text().splitlines()):
            return True
        time.sleep(0.05)
    return False


def happen(place: Place) -> None:
    """Something that makes an event of the demo gallery."""
    gallery = f"{place.gateway}/progallery/v2/galleries/{GALLERY_ID}"
    httpx.patch(gallery, headers={"Authorization": DEV_KEY}, json={"gallery": {"name": "Three panels"}}, timeout=20)


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
