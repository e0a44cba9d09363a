"""All commands: each has an example that can be typed, and none waits silently without servers; help comes at once."""

import importlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from triptych.cli.__main__ import app
from triptych.cli.command_reference import all_commands, example_of
from triptych.cli.exits import ExitStatus
from triptych.cli.lazy import loaded
from triptych.cli.status import collecting
from triptych.cli.waiting import FIRST_SECONDS
from triptych.kit.kafka.errors import ANSWER_SECONDS
from triptych.kit.mongo import driver
from triptych.kit.startup import lifecycle
from triptych.status import collecting as servers

COMMANDS = dict(all_commands())
LOCAL = {("up",), ("cluster",), ("cluster-kill",), ("completion",), ("config", "show")}
"""Commands that need no server."""
pytestmark = pytest.mark.timeout(120)  # so that they begin early: together they wait for 20 s
HEAVY = ("aiokafka", "pymongo", "fastapi", "faststream", "pydantic", "httpx")


def typed(path: tuple[str, ...]) -> list[str]:
    """The example of a command as it is typed, without what the shell does with its output."""
    words = shlex.split(example_of(COMMANDS[path]) or "")
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_has_help_and_an_example_that_can_be_typed(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    words = typed(path)
    assert command.help
    assert words[: len(path)] == list(path), "the example in the help is one of this command"
    command.make_context(" ".join(path), words[len(path) :])
    assert [one.name for one in command.params if one.param_type_name == "option" and not one.help] == []


@pytest.mark.parametrize("path", [path for path in COMMANDS if path[-1] in ("list", "status")], ids=" ".join)
def test_what_is_listed_can_be_had_as_json(path: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[path].params)


ASKING = {("status",), ("probe",)}
"""Commands whose answer is that servers or services are away."""


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in LOCAL], ids=" ".join)
def test_without_servers_a_command_ends_and_says_so(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The driver retries for as long as it may; that this is less than 5 s is checked below.
    monkeypatch.setattr(driver, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(lifecycle, "_tune_garbage_collector", lambda: None)
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("galleries.ndjson").touch()
    monkeypatch.setenv("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("TRIPTYCH_MONGO_URI", "mongodb://127.0.0.1:1/?replicaSet=rs0")
    options = {"status": ["--no-services"], "export": ["--force"]}
    words = [word.replace("https://registry.example.com", "http://127.0.0.1:1") for word in typed(path)]
    if path == ("status",):
        words = ["status"]
    importlib.import_module("triptych.cli.provision")  # on a busy machine this takes longer than the limit
    started = time.monotonic()
    done = CliRunner().invoke(app, [*words, *options.get(path[0], [])])
    assert time.monotonic() - started < 5
    assert done.exit_code == (ExitStatus.NEGATIVE if path in ASKING else ExitStatus.REFUSED), done.output
    assert re.search("does not answer|nothing listens", done.output)


def test_no_wait_is_silent_for_five_seconds() -> None:
    assert max(driver._ANSWER_SECONDS, ANSWER_SECONDS, FIRST_SECONDS) < 5
    assert max(collecting.ANSWER_SECONDS, servers.ANSWER_SECONDS) < 5


def test_servers_that_accept_and_do_not_answer_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(servers, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(driver, "_ANSWER_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("TRIPTYCH_KAFKA_BOOTSTRAP", address)
        monkeypatch.setenv("TRIPTYCH_MONGO_URI", f"mongodb://{address}/?replicaSet=rs0")
        services = [f"--service={name}=http://{address}" for name in ("command", "projector", "webhooks", "gateway")]
        started = time.monotonic()
        done = CliRunner().invoke(app, ["status", "--json", *services])
    assert time.monotonic() - started < 4, "one after another they would take longer"
    report = orjson.loads(done.stdout)
    assert done.exit_code == ExitStatus.NEGATIVE
    assert (report["ok"], report["kafka"]["reached"], report["mongodb"]["reached"]) == (False, False, False)
    assert [service["state"] for service in report["services"]] == ["not reached"] * 4
    assert report["lag"] is None
    assert report["outbox"] is None


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from triptych.cli.__main__ import app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert [name for name in HEAVY if name in done.stdout.split()] == []


def test_the_version_is_printed() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout.split()[0]) == (0, "triptych")
    assert done.stdout.split()[1][0].isdigit()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_and_completions(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CliRunner().invoke(app, ["completion", shell])
    assert script.exit_code == 0
    assert f"complete_{shell}" in script.stdout
    monkeypatch.setenv("_TRIPTYCH_COMPLETE", f"complete_{shell}")
    for name, value in completion_request(shell, "triptych jobs li").items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, prog_name="triptych")
    assert "list" in done.output


def completion_request(shell: str, line: str) -> dict[str, str]:
    """What the script of a shell passes to the command."""
    if shell == "bash":
        return {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    return {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    done = CliRunner().invoke(app, ["jobz"])
    assert done.exit_code == ExitStatus.USAGE
    assert "jobs" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "x.ndjson"], "--all"),
        (["republish", "--all", "--site", "a"], "cannot be combined"),
        (["republish", "--gallery", "x"], "is not a GUID"),
        (["export", "-", "--all", "--resume"], "needs a file"),
        (["status", "--service", "nonsense"], "NAME=URL"),
        (["import", "missing.ndjson"], "There is no file missing.ndjson"),
    ],
)
def test_mistyped_options_are_explained(words: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert done.exit_code in (ExitStatus.USAGE, ExitStatus.REFUSED)
    assert message in done.output


def test_the_numbers_of_exit_statuses_do_not_change() -> None:
    assert [status.value for status in ExitStatus] == [0, 1, 2, os.EX_TEMPFAIL, os.EX_CONFIG, 130]


def test_a_lazy_group_has_its_commands() -> None:
    group: Any = loaded(app)
    assert "create" in group.commands["keys"].commands
