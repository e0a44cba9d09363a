"""Commands and writes over HTTP at a steady rate while processes are replaced, and what the slowest waited for."""

import asyncio
import contextlib
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.kafka import TopicReader, topic_reader
from tests.support.plain_http import NO_TLS
from tests.support.sender import Sender
from tests.support.waiting import eventually

PATIENCE_SECONDS = 90.0


class ReplyClock:
    """When the reply to each command came first, by the command's id."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self.came: dict[str, float] = {}

    async def run(self) -> None:
        """Read replies until cancelled."""
        while True:
            for records in (await self._reader._consumer.getmany(timeout_ms=1_000)).values():
                now = time.monotonic()
                for record in records:
                    self.came.setdefault(record.key.decode(), now)

    async def all_came(self, command_ids: Sequence[str]) -> float:
        """Wait for the replies to these commands; gives the time of the last."""

        async def are_there() -> bool:
            return self.came.keys() >= set(command_ids)

        await eventually(are_there, "all replies", deadline_seconds=PATIENCE_SECONDS)
        return max(self.came[command_id] for command_id in command_ids)


@contextlib.asynccontextmanager
async def reply_clock(installation: Installation, **options: Any) -> AsyncIterator[ReplyClock]:
    """A clock of replies that runs during the block; `options` are those of a Kafka client."""
    async with topic_reader(installation.addresses.kafka_bootstrap, installation.topics.replies, **options) as reader:
        clock = ReplyClock(reader)
        running = asyncio.create_task(clock.run())
        try:
            yield clock
        finally:
            running.cancel()
            await asyncio.wait({running})


@dataclass(frozen=True)
class Command:
    """A command on the topic, sent at a time of `time.monotonic`."""

    at: float
    gallery_id: str


@dataclass
class Write:
    """A write over HTTP; times are those of `time.monotonic`."""

    at: float
    request: str
    """Its idempotency key, which is the id of its command."""
    seconds: float = 0.0
    tries: list[str] = field(default_factory=list)
    """How each try ended."""


class Load:
    """Commands on the topic at a steady rate, and writes over HTTP, each repeated at another gateway if one is away."""

    def __init__(
        self, sender: Sender, clock: ReplyClock, galleries: Sequence[str], gateways: Sequence[str] = ()
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._galleries = galleries
        self._gateways = gateways
        self._sent: dict[str, Command] = {}
        self.writes: list[Write] = []
        """Each write over HTTP."""

    @contextlib.asynccontextmanager
    async def running(self, key: str = "") -> AsyncIterator[None]:
        """Send during the block, and wait for all answers at its end."""
        stop = asyncio.Event()
        sending = [asyncio.create_task(self._send(stop))]
        if self._gateways:
            sending.append(asyncio.create_task(self._write(stop, key)))
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*sending)
        await self._clock.all_came(list(self._sent))

    def delays(self) -> list[float]:
        """The seconds from each command to its reply."""
        return [self._clock.came[command_id] - command.at for command_id, command in self._sent.items()]

    def slowest(self) -> tuple[Command, float]:
        """The command whose reply took longest, and the seconds it took."""
        return max(
            ((command, self._clock.came[command_id] - command.at) for command_id, command in self._sent.items()),
            key=lambda pair: pair[1],
        )

    async def _send(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for gallery_id in self._galleries:
                at = time.monotonic()
                command_id = await self._sender.put("CreateItems", {"galleryId": gallery_id, "items": [TEXT]})
                self._sent[command_id] = Command(at, gallery_id)
            await asyncio.sleep(0.1)

    async def _write(self, stop: asyncio.Event, key: str) -> None:
        async with httpx.AsyncClient(timeout=30, verify=NO_TLS, headers={"Authorization": key}) as client:
            turn = 0
            while not stop.is_set():
                write = Write(time.monotonic(), str(uuid.uuid4()))
                while not await self._is_written(client, self._gateways[turn % len(self._gateways)], write):
                    turn += 1
                    await asyncio.sleep(0.05)
                write.seconds = time.monotonic() - write.at
                self.writes.append(write)
                turn += 1

    @staticmethod
    async def _is_written(client: httpx.AsyncClient, address: str, write: Write) -> bool:
        began_at = time.monotonic()
        try:
            answer = await client.post(
                f"{address}/progallery/v2/galleries",
                json={"gallery": {"name": "written"}},
                headers={"Idempotency-Key": write.request},
            )
            outcome = str(answer.status_code)
        except httpx.TransportError as error:
            outcome = type(error).__name__
        write.tries.append(f"{outcome} of {address} after {time.monotonic() - began_at:.2f} s")
        assert outcome in ("200", "503", "504") or not outcome.isdigit(), outcome
        return outcome == "200"


def account(write: Write, timeline: Sequence[tuple[float, str]]) -> str:
    """What a write waited for: its tries, and what happened to processes from shortly before it until its end."""
    happened = [
        f"    {at - write.at:+.2f} s: {what}"
        for at, what in timeline
        if write.at - 3 < at < write.at + write.seconds + 1
    ]
    lines = [f"  write {write.request}: {write.seconds:.2f} s; {', then '.join(write.tries)}", *happened]
    return "\n".join(lines)


def summary(what: str, seconds: Sequence[float]) -> str:
    """Count, median and maximum, in words."""
    return (
        f"{what}: {len(seconds)} times, median {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s, "
        f"all {[round(each, 1) for each in seconds]}"
    )
