"""What `triptych status` calls wrong, and the keys that scripts rely on."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from triptych.cli.command_reference import _STATUS_KEYS
from triptych.cli.status.screen import screen
from triptych.kit.own_command import as_typed
from triptych.kit.upgrading.presence import RunningProcess
from triptych.kit.upgrading.progress import MigrationProgress, MigrationState
from triptych.status.report import (
    DatabaseStatus,
    DeadLetters,
    DeliveriesStatus,
    JobsStatus,
    KafkaStatus,
    Lag,
    OutboxStatus,
    Report,
    SchemaStatus,
    ServerStatus,
    ServiceStatus,
)

DUE = MigrationProgress("later", 2, MigrationState.DUE)
STARTED = datetime(2026, 1, 2, tzinfo=UTC)
RUNNING = MigrationProgress("pack", 2, MigrationState.RUNNING, 400, 1_000, STARTED, STARTED, "host-7")
WELL = Report(
    "2026-01-02T03:04:05.678Z",
    (ServiceStatus("gateway", "http://127.0.0.1:8080", "ready", {}),),
    ServerStatus(True),
    ServerStatus(True),
    KafkaStatus((Lag("t.command.v1", "t.commands", 5, 2.0),), (DeadLetters("t.commands.dead-letter", 3),)),
    DatabaseStatus(
        OutboxStatus(1, 0.1),
        JobsStatus(1, 0, 0, 700.0, 2),
        DeliveriesStatus(4, 1.0, 9),
        SchemaStatus(1, 1, 2, (DUE, RUNNING), (RunningProcess("command", "host-1", "0.1.0", 1),)),
        view_version=1,
        has_history=False,
    ),
)
BUSY = WELL.database
assert BUSY is not None
INTERRUPTED = replace(RUNNING, state=MigrationState.INTERRUPTED)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (replace(WELL, kafka_server=ServerStatus(False, "away"), kafka=None), "Kafka was not reached: away"),
        (replace(WELL, database_server=ServerStatus(False, "away"), database=None), "MongoDB was not reached: away"),
        (
            replace(WELL, services=(ServiceStatus("gateway", "http://g", "not ready", {"kafka": "gone"}),)),
            "gateway at http://g is not ready (kafka: gone)",
        ),
        (
            replace(WELL, kafka=KafkaStatus((Lag("g", "t", 5, 61.0),), ())),
            "g is 5 records behind t, the oldest is 61 s old",
        ),
        (
            replace(WELL, database=replace(BUSY, outbox=OutboxStatus(1, 61.0))),
            "events have waited in the outbox for up to 61 s",
        ),
        (replace(WELL, database=replace(BUSY, jobs=JobsStatus(0, 2, 0, 5.0, 0))), "2 jobs are failing"),
        (
            replace(WELL, database=replace(BUSY, deliveries=DeliveriesStatus(1, 61.0, 0))),
            "a delivery has been due for 61 s",
        ),
        (
            replace(WELL, database=replace(BUSY, schema=replace(BUSY.schema, migrations=(INTERRUPTED,)))),
            f"the migration pack was interrupted; {as_typed('migrate')} resumes it",
        ),
    ],
)
def test_a_problem_is_named(report: Report, words: str) -> None:
    assert report.problems() == [words]
    assert report.to_json()["ok"] is False


def test_work_that_moves_and_dead_letters_are_no_problem() -> None:
    assert WELL.problems() == []
    assert WELL.to_json()["ok"] is True


def test_the_keys_are_those_of_the_page() -> None:
    documented = {key for keys, _ in _STATUS_KEYS for key in keys.split(", ")}
    wire = WELL.to_json()
    assert set(wire) == documented
    assert set(wire["lag"][0]) == {"group", "topic", "records", "oldestSeconds"}
    assert set(wire["jobs"]) == {"running", "failing", "finishing", "oldestSeconds", "waitingCommands"}
    assert set(wire["deliveries"]) == {"due", "oldestDueSeconds", "dead"}
    assert set(wire["outbox"]) == {"rows", "oldestSeconds"}
    assert wire["schema"] == {
        "version": 1,
        "oldestBuild": 1,
        "known": 2,
        "migrations": [
            {
                **dict.fromkeys(("total", "startedDate", "movedDate", "instance")),
                "name": "later",
                "version": 2,
                "state": "due",
                "done": 0,
            },
            {
                **dict.fromkeys(("startedDate", "movedDate"), "2026-01-02T00:00:00.000Z"),
                "name": "pack",
                "version": 2,
                "state": "running",
                "done": 400,
                "total": 1_000,
                "instance": "host-7",
            },
        ],
    }
    assert wire["processes"] == [{"service": "command", "instance": "host-1", "release": "0.1.0", "schemaVersion": 1}]


def test_the_screen_is_not_higher_than_a_terminal() -> None:
    console = Console(width=100, record=True)
    console.print(screen(WELL, "here"))
    text = console.export_text()
    assert len(text.splitlines()) <= 24
    assert "t.commands.dead-letter" in text
    assert "version 1, this build knows 2; processes: 1, of older builds: 1" in text
    assert "pack is running" in text
    assert "400 of 1,000" in text
    assert "all is well" in text
