"""A consumer that is behind and does not move ends its process, unless a server is to blame."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.consuming import Recorder, consuming
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.log_lines import logged
from tests.support.waiting import eventually
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.consuming import lag as lag_module
from triptych.kit.kafka.consuming import retries as retries_module
from triptych.kit.kafka.consuming import standstill
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lag import watching_lag
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import SUPERVISOR, progress

pytestmark = pytest.mark.only_topics("commands", "commands.dead-letter")

LIMIT_SECONDS = 0.5


class Planted(Recorder):
    """A handler that hangs as the test says."""

    def __init__(self, hangs_in: str = "") -> None:
        super().__init__()
        self.hangs_in = hangs_in
        self.over = asyncio.Event()

    async def assigned(self, partitions: frozenset[int]) -> None:
        await super().assigned(partitions)
        if self.hangs_in == "preparation":
            await self.over.wait()

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        if self.hangs_in == "handler":
            await self.over.wait()
        await super().handle(records)


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the process is told to end."""
    told = asyncio.Event()
    monkeypatch.setattr(lag_module, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(standstill, "STANDSTILL_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr(SUPERVISOR, "on_exit", told.set)
    return told


@asynccontextmanager
async def watched(installation: Installation, handler: Recorder) -> AsyncIterator[BatchConsumer]:
    """A watched consumer with partitions. What hangs in its handler ends with the block."""
    async with (
        consuming(installation, handler) as consumer,
        watching_lag(installation.settings(KitSettings), consumer),
    ):

        async def is_assigned() -> bool:
            return handler.preparations > 0 and bool(consumer.reached())

        await eventually(is_assigned, "partitions are assigned")
        try:
            yield consumer
        finally:
            if isinstance(handler, Planted):
                handler.over.set()


@asynccontextmanager
async def behind(installation: Installation, handler: Recorder) -> AsyncIterator[BatchConsumer]:
    """The same with a record to handle."""
    async with watched(installation, handler) as consumer:
        await put(installation, b"x")
        yield consumer


async def put(installation: Installation, value: bytes) -> None:
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        await producer.send_and_wait(installation.topics.commands, value, partition=1)


async def ends(exits: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await exits.wait()


@pytest.mark.parametrize("where", ["handler", "preparation"])
async def test_work_that_hangs_ends_the_process(
    installation: Installation, exits: asyncio.Event, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    async with behind(installation, Planted(where)):
        await ends(exits)
    (line,) = logged(caplog.records, "a loop has ended, and so does this process")
    assert line["loop"] == f"consumer of {installation.topics.commands}"
    assert line["problem"].startswith("is behind and has not moved for ")


async def test_a_poll_that_hangs_ends_the_process(installation: Installation, exits: asyncio.Event) -> None:
    recorder = Recorder()
    over = asyncio.Event()
    async with watched(installation, recorder) as consumer:
        assert consumer.reader is not None

        async def hang(*_arguments: Any, **_options: Any) -> Any:
            await over.wait()
            await asyncio.sleep(0.05)  # an endless loop polls
            return {}

        consumer.reader.getmany = hang
        await put(installation, b"the last poll may take this")
        await put(installation, b"x")
        await ends(exits)
        over.set()
    assert b"x" not in recorder.values


async def test_fetching_that_has_stopped_ends_the_process(installation: Installation, exits: asyncio.Event) -> None:
    recorder = Recorder()
    async with watched(installation, recorder) as consumer:
        assert consumer.reader is not None
        assert consumer.reader._fetcher is not None
        consumer.reader._fetcher._fetch_task.cancel()
        await put(installation, b"x")
        await ends(exits)
    assert recorder.values == []


async def test_a_server_that_is_away_is_to_blame(installation: Installation, exits: asyncio.Event) -> None:
    away = True

    async def ask() -> str | None:
        return "away" if away else None

    with DEPENDENCIES.on(ask):
        async with behind(installation, Planted("handler")):
            await asyncio.sleep(4 * LIMIT_SECONDS)  # the time itself is what must not end the process
            assert not exits.is_set()
            away = False
            await ends(exits)


async def test_a_handler_that_reports_why_it_waits_is_not_ended(
    installation: Installation, exits: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries_module, "LONGEST_DELAY_SECONDS", LIMIT_SECONDS / 5)

    def fail(_value: bytes) -> None:
        raise TransientFailure("away")

    async with behind(installation, Recorder(fail)):
        await asyncio.sleep(3 * LIMIT_SECONDS)  # the time itself is what must not end the process
        assert not exits.is_set()


async def test_a_long_batch_that_makes_progress_is_not_ended(installation: Installation, exits: asyncio.Event) -> None:
    class Slow(Recorder):
        async def handle(self, records: Sequence[IncomingRecord]) -> None:
            for _ in range(12):
                await asyncio.sleep(LIMIT_SECONDS / 4)
                progress()
            await super().handle(records)

    recorder = Slow()
    async with behind(installation, recorder):
        await eventually(lambda: recorder.has(b"x"), "the record is handled")
        assert not exits.is_set()


async def test_preparation_that_was_cancelled_starts_again_and_no_record_is_skipped(
    installation: Installation,
) -> None:
    recorder = Planted("preparation")
    async with behind(installation, recorder) as consumer:
        recorder.hangs_in = ""
        assert consumer._preparing is not None
        consumer._preparing.cancel()
        await eventually(lambda: recorder.has(b"x"), "the record is handled")
    assert recorder.preparations == 2
