"""Commands over Kafka and over HTTP while servers fail: how long they wait, and that none is lost or doubled."""

import asyncio
import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import TopicReader, topic_reader
from tests.support.ours import assert_no_record_of_ours_is_dead
from tests.support.receiver import Receiver
from tests.support.sender import Sender, galleries_on, sending
from tests.support.steady_load import CLIENT, Sent, SteadyLoad, steady_load
from tests.support.waiting import eventually
from tests.support.write_model import audit, until_all_is_marked
from triptych.client import Galleries

GALLERIES = 6
"""Galleries that get commands over Kafka, and as many others over HTTP: each way has some on all partitions."""
JOINED_SECONDS = 60.0


@dataclass(frozen=True)
class Waits:
    """How long commands of one way waited that were sent since a moment, in seconds.

    Attributes:
        way: how they were sent, and what they waited for.
        next: from the moment until the first of them was done.
        slowest: the longest wait of one of them.
        median: of all of them.
        count: how many there were.
        pending: the longest time, from the moment, of those that were sent before it.
    """

    way: str
    next: float
    slowest: float
    median: float
    count: int
    pending: float

    def __str__(self) -> str:
        return (
            f"{self.way}: the next after {self.next:.1f} s, the slowest of {self.count} {self.slowest:.1f} s "
            f"(median {self.median:.2f} s), those before {self.pending:.1f} s"
        )

    @property
    def longest(self) -> float:
        """The longest of these times, for a bound."""
        return max(self.next, self.slowest, self.pending)


def waits_of(way: str, times: Iterable[tuple[float, float]], since: float) -> Waits:
    """The waits of commands since a moment; `times` has for each one when it was sent and when it was done."""
    times = list(times)
    after = [(sent, done) for sent, done in times if sent >= since]
    before = [done - since for sent, done in times if sent < since <= done]
    seconds = [done - sent for sent, done in after]
    first = min(done for _, done in after) - since
    return Waits(way, first, max(seconds), statistics.median(seconds), len(after), max(before, default=0.0))


class JoinedClock:
    """When each sequence of each gallery was on the joined topic first."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self._galleries = Galleries()
        self._came: dict[str, list[tuple[int, float]]] = defaultdict(list)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            for records in (await self._reader._consumer.getmany(timeout_ms=1_000)).values():
                now = time.monotonic()
                for record in records:
                    gallery_id = self._galleries.feed(record.key, record.value)
                    if gallery_id and (sequence := self._galleries.sequence(gallery_id)):
                        self._came[gallery_id].append((sequence, now))

    def at(self, gallery_id: str, sequence: int) -> float | None:
        """When the gallery was there with this sequence or a later one; None if it was not yet."""
        return next((at for found, at in self._came[gallery_id] if found >= sequence), None)


@asynccontextmanager
async def joined_clock(installation: Installation) -> AsyncIterator[JoinedClock]:
    """A clock of the joined topic that runs during the block."""
    topic = installation.topics.galleries
    async with topic_reader(installation.addresses.kafka_bootstrap, topic, **CLIENT) as reader:
        clock = JoinedClock(reader)
        running = asyncio.create_task(clock.run())
        try:
            yield clock
        finally:
            running.cancel()
            await asyncio.wait({running})


class Trial:
    """Galleries under a load that lasts while the test lets servers fail."""

    def __init__(self, installation: Installation, galleries: Sequence[str], clock: JoinedClock) -> None:
        self.installation = installation
        self.galleries = galleries
        self._clock = clock
        self._load: SteadyLoad | None = None

    @property
    def load(self) -> SteadyLoad:
        """The load, which has begun."""
        assert self._load is not None
        return self._load

    @asynccontextmanager
    async def under_load(self, gateways: Callable[[], Sequence[str]]) -> AsyncIterator[None]:
        """Send commands during the block; afterwards every command is acknowledged, accepted and joined."""
        by_topic, by_http = self.galleries[:GALLERIES], self.galleries[GALLERIES:]
        async with steady_load(self.installation, gateways, by_topic, by_http) as self._load:
            yield
        assert all(sent.acknowledged for sent in self.load.sent())
        assert {sent.outcome for sent in self.load.sent()} == {"accepted"}

        async def are_joined() -> bool:
            return all(self._joined_at(*each) is not None for each in self._numbered())

        await eventually(are_joined, "every command is on the joined topic", deadline_seconds=JOINED_SECONDS)

    def waits(self, since: float) -> list[Waits]:
        """How long commands waited since a moment, by way; all are done."""
        joined = [(sent.at, self._joined_at(sent, number) or 0.0) for sent, number in self._numbered()]
        return [
            waits_of("replies on Kafka", map(_times, self.load.by_topic.values()), since),
            waits_of("responses over HTTP", map(_times, self.load.by_http), since),
            waits_of("joined records", joined, since),
        ]

    def refusals(self) -> list[str]:
        """Why requests were sent again."""
        return sorted({reason for sent in self.load.by_http for reason in sent.refusals})

    async def check(self, receiver: Receiver | None = None) -> None:
        """Every command had its effect once and in order, events are complete, and a listener got all of them."""
        async with sending(self.installation, **CLIENT) as sender:
            await check_galleries(sender, self.load.sent())
        if receiver is not None:
            await check_deliveries(self.installation, receiver, self.galleries)
        await assert_no_record_of_ours_is_dead(self.installation)

    def _numbered(self) -> list[tuple[Sent, int]]:
        """The commands over Kafka, each with its number among those of its gallery, from 1."""
        numbers: dict[str, int] = defaultdict(int)
        found = []
        for sent in self.load.by_topic.values():
            numbers[sent.gallery_id] += 1
            found.append((sent, numbers[sent.gallery_id]))
        return found

    def _joined_at(self, sent: Sent, number: int) -> float | None:
        return self._clock.at(sent.gallery_id, 1 + number)  # the creation is event 1


def _times(sent: Sent) -> tuple[float, float]:
    return sent.at, sent.at + sent.seconds


@asynccontextmanager
async def trial(installation: Installation) -> AsyncIterator[Trial]:
    """A trial with galleries of its own."""
    async with contextlib.AsyncExitStack() as stack:
        clock = await stack.enter_async_context(joined_clock(installation))
        async with sending(installation, **CLIENT) as sender:
            ids = galleries_on(*(number % PARTITIONS for number in range(2 * GALLERIES)))
            galleries = [await sender.gallery(0, gallery_id=gallery_id) for gallery_id in ids]
        yield Trial(installation, galleries, clock)


async def check_galleries(sender: Sender, everything: Sequence[Sent]) -> None:
    """Every acknowledged command had its effect once; events are complete and in sequence."""
    await until_all_is_marked(sender.installation.database)
    history = await audit(sender.installation.database)
    titles: dict[str, list[str]] = {}
    for sent in everything:
        titles.setdefault(sent.gallery_id, []).append(sent.title)
    for gallery_id, sent_titles in titles.items():
        shown = (await sender.titles(gallery_id))[::-1]
        assert sorted(shown) == sorted(sent_titles)
        if sent_titles[0].startswith("topic"):
            assert shown == sent_titles, "commands of one producer are carried out in order"
        published = await sender.events_of(gallery_id, 1 + len(sent_titles))
        assert [event["id"] for event in published] == [event["id"] for event in history[gallery_id]]


async def check_deliveries(installation: Installation, receiver: Receiver, galleries: Sequence[str]) -> None:
    """The listener got every event of these galleries, which are younger than the listener."""
    history = await audit(installation.database)
    events = {event["id"] for gallery_id in galleries for event in history[gallery_id]}

    async def are_delivered() -> bool:
        return {request.id for request in receiver.requests} >= events

    await eventually(are_delivered, "all events are delivered", deadline_seconds=60)
