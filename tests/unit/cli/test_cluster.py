"""The local cluster on the command line: its state in one line, restarts, and the command that kills parts."""

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from triptych.cli.__main__ import app
from triptych.cli.cluster.parts_file import CLUSTER_DIR, PARTS, kill, parts_file
from triptych.cli.cluster.restarting import Restarter
from triptych.cli.cluster.state import ClusterState, line
from triptych.cli.cluster.status_line import StatusLine
from triptych.cli.exits import ExitStatus
from triptych.devstack.parts import Part
from triptych.kit.failures import StartRefused

WHOLE: dict[str, Any] = {
    "nodes": 3,
    "nodes_up": 3,
    "short_partitions": 0,
    "members": {"mongo-1": "secondary", "mongo-2": "primary", "mongo-3": "secondary"},
    "services": {"command": (2, 2), "gateway": (2, 2)},
    "lag": 0,
    "outbox": 0,
}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[list[Part]]:
    """Three parts that run until they are killed."""
    made = [Part(f"part-{number}", ["sleep", "60"], port=number, logs=tmp_path, env={}) for number in (1, 2, 3)]
    for part in made:
        part.start()
    yield made
    for part in made:
        part.stop(0)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "kafka 3/3 | mongo 3/3, primary mongo-2 | command 2/2 | gateway 2/2 | lag 0 | outbox 0"),
        (
            {"nodes_up": 2, "short_partitions": 40, "lag": 1234},
            "kafka 2/3, 40 partitions lack a replica | mongo 3/3, primary mongo-2 | command 2/2 | gateway 2/2 "
            "| lag 1,234 | outbox 0",
        ),
        (
            {"members": {"mongo-1": "secondary", "mongo-2": None, "mongo-3": "other"}, "services": {"command": (1, 2)}},
            "kafka 3/3 | mongo 1/3, no primary | command 1/2 | lag 0 | outbox 0",
        ),
        (
            {"nodes_up": None, "short_partitions": None, "lag": None, "outbox": None},
            "kafka ?/3 | mongo 3/3, primary mongo-2 | command 2/2 | gateway 2/2 | lag ? | outbox ?",
        ),
    ],
)
def test_the_state_is_one_line(changes: dict[str, Any], shown: str) -> None:
    assert line(ClusterState(**{**WHOLE, **changes})) == shown


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes_up": 2},
        {"nodes_up": None},
        {"short_partitions": 1},
        {"members": {"mongo-1": "secondary", "mongo-2": None, "mongo-3": "primary"}},
        {"members": {"mongo-1": "secondary", "mongo-2": "secondary", "mongo-3": "secondary"}},
        {"services": {"command": (1, 2)}},
    ],
    ids=str,
)
def test_a_cluster_without_one_part_is_not_whole(changes: dict[str, Any]) -> None:
    assert ClusterState(**WHOLE).is_whole
    assert not ClusterState(**{**WHOLE, **changes}).is_whole


def test_work_that_is_left_does_not_make_a_cluster_less_whole() -> None:
    assert ClusterState(**{**WHOLE, "lag": 5, "outbox": 5}).is_whole


def test_outside_of_a_terminal_each_change_is_printed_once() -> None:
    printed = io.StringIO()
    with StatusLine(Console(file=printed, soft_wrap=True)) as shown:
        for state in ("a", "a", "b"):
            shown.show(state, is_well=True)
        shown.say("[part] ended")
        shown.show("b", is_well=True)
        shown.show("a", is_well=True)
    assert printed.getvalue() == "a\nb\n[part] ended\na\n"


def test_on_a_terminal_one_line_is_redrawn_below_the_messages() -> None:
    printed = io.StringIO()
    with StatusLine(Console(file=printed, force_terminal=True, width=20)) as shown:
        shown.show("before", is_well=True)
        shown.say("a message")
        shown.show("x" * 30, is_well=False)
    assert "\x1b[2K" in printed.getvalue()
    assert "a message" in printed.getvalue()
    assert f"{'x' * 19}…" in printed.getvalue()


def test_a_part_that_ended_starts_again_after_a_while(parts: list[Part]) -> None:
    now, said = [100.0], list[str]()
    restarter = Restarter(parts, 10, said.append, lambda: now[0])
    assert not restarter.step()
    killed = parts[1].child
    parts[1].kill()
    killed.stop(5)
    assert restarter.step()
    now[0] += 9.9
    assert not restarter.step()
    assert [part.is_running for part in parts] == [True, False, True]
    now[0] += 0.1
    assert restarter.step()
    assert all(part.is_running for part in parts)
    assert said == [
        "part-2 ended (signal 9); it starts again in 10 s",
        f"part-2 starts again, process {parts[1].child.pid}",
    ]
    assert not restarter.step()


def test_named_parts_of_the_running_cluster_are_killed(parts: list[Part], tmp_path: Path) -> None:
    with parts_file(parts, tmp_path) as file:
        assert kill(["part-1", "part-3"], tmp_path) == {"part-1": parts[0].child.pid, "part-3": parts[2].child.pid}
        assert [part.child.stop(5) for part in (parts[0], parts[2])] == [-signal.SIGKILL] * 2
        file.write()
        with pytest.raises(StartRefused, match=r"part-1 runs\. These run: part-2"):
            kill(["part-2", "part-1"], tmp_path)
        assert parts[1].is_running
        parts[0].start()
        file.write()
        assert kill(["part-1"], tmp_path) == {"part-1": parts[0].child.pid}


def test_the_file_of_the_parts_is_never_shorter_than_before(parts: list[Part], tmp_path: Path) -> None:
    # Whoever reads it between two writes would find a part of it, or nothing.
    path = tmp_path / PARTS
    with parts_file(parts, tmp_path) as file:
        size = path.stat().st_size
        parts[0].kill()
        parts[0].child.stop(5)
        file.write()
        assert set(json.loads(path.read_bytes())) == {"part-2", "part-3"}
        assert path.stat().st_size == size


def test_without_a_running_cluster_nothing_is_killed(
    parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with parts_file(parts, tmp_path / CLUSTER_DIR):
        left = (tmp_path / CLUSTER_DIR / "parts.json").read_bytes()
    for text in (b"", left):  # as after an end in order, and after a kill of the cluster
        (tmp_path / CLUSTER_DIR / "parts.json").write_bytes(text)
        done = CliRunner().invoke(app, ["cluster-kill", "part-1"])
        assert done.exit_code == ExitStatus.REFUSED
        assert "make cluster" in done.output
    assert parts[0].is_running
