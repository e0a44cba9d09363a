"""Dead letters on real servers: found again, sent again with all their bytes, and marked as handled."""

import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from tests.support.gateway import shared
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import expire_records, raw_producer
from tests.support.ours import everything_on
from tests.support.topics import configure_topic
from triptych.deadletters.administration import DeadLetters, OpenDeadLetters, Permission
from triptych.deadletters.model.letter import Refusal
from triptych.deadletters.model.selection import Selection, State
from triptych.deadletters.scan import Entry, ScanBudget
from triptych.deadletters.store.marks import MARKS
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.transit import replay_of
from triptych.kit.process.settings import KitSettings

pytestmark = shared("dead-letters")
SAFE = Permission()
ALL = Selection(state=None)
Headers = tuple[tuple[str, bytes], ...]


@pytest.fixture
def reason() -> str:
    """A reason that no other test uses."""
    return uuid.uuid4().hex


def refused(
    installation: Installation, number: int, value: bytes | None, key: bytes | None = b"k", headers: Headers = ()
) -> ConsumerRecord[Any, Any]:
    """A record as the command service would dead-letter it, on each partition in turn."""
    topic = installation.topics.commands
    return ConsumerRecord(topic, number % PARTITIONS, number, 0, 0, key, value, None, 0, 0, headers)


@asynccontextmanager
async def refusing(installation: Installation) -> AsyncIterator[DeadLetterPublisher]:
    publisher = Publisher(lambda: make_producer(installation.settings(KitSettings)))
    try:
        yield DeadLetterPublisher(publisher, installation.topics.dead_letter)
    finally:
        await publisher.stop()


async def refuse(installation: Installation, reason: str, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
    async with refusing(installation) as publisher:
        for record in records:
            await publisher.dead_letter(record, reason, "why")


async def found(letters: OpenDeadLetters, selection: Selection, **options: Any) -> list[Entry]:
    chunks = letters.scan(selection, **options).chunks(letters.topics_of(selection))
    return [entry async for chunk in chunks for entry in chunk]


async def test_every_dead_letter_is_listed_once_in_order_whatever_the_budget(
    installation: Installation, dead_letters: DeadLetters, reason: str
) -> None:
    gallery_id = str(uuid.uuid4())
    values = [b'{"specversion":"1.0","id":"%d","siteid":"s%d"' % (number, number % 2) for number in range(20)]
    records = [refused(installation, number, value) for number, value in enumerate(values)]
    records.append(refused(installation, 20, b"{", gallery_id.encode()))
    await refuse(installation, reason, records)
    async with dead_letters.open() as letters:
        wanted = Selection(reason=reason)
        entries = await found(letters, wanted)
        positions = [entry.letter.position for entry in entries]
        assert positions == sorted(positions)
        origins = [entry.letter.origin for entry in entries]
        assert {origin.offset for origin in origins if origin} == set(range(21))
        paged: list[Position] = []
        after = None
        while True:
            scan = letters.scan(wanted, budget=ScanBudget(4, 60))
            async for chunk in scan.chunks(letters.topics_of(wanted), after):
                paged += [entry.letter.position for entry in chunk]
            if scan.is_complete:
                break
            after = scan.last
        assert paged == positions
        for selection, count in (
            (replace(wanted, partition=1), 7),
            (replace(wanted, site_id="s1"), 10),
            (replace(wanted, message_id="7"), 1),
            (replace(wanted, gallery_id=gallery_id), 1),
            (replace(wanted, topic=installation.topics.events), 0),
            (replace(wanted, since=datetime.now(UTC) + timedelta(hours=2)), 0),
            (replace(wanted, since=datetime.now(UTC) - timedelta(hours=2)), 21),
            (replace(wanted, until=datetime.now(UTC) - timedelta(hours=2)), 0),
            (replace(wanted, until=datetime.now(UTC) + timedelta(hours=2)), 21),
        ):
            assert len(await found(letters, selection)) == count, selection
        (seventh,) = await found(letters, replace(wanted, message_id="7"))
        whole = await letters.find(seventh.letter.position)
        assert whole is not None
        assert (whole.letter.value, whole.subject.site_id) == (values[7], "s1")
        assert await letters.find(seventh.letter.position._replace(offset=10_000)) is None
        assert await letters.find(seventh.letter.position._replace(partition=PARTITIONS)) is None
        assert await letters.find(Position(installation.topics.commands, 0, 0)) is None


async def test_a_replay_sends_the_bytes_of_the_sender_and_is_recorded(
    installation: Installation, dead_letters: DeadLetters, reason: str
) -> None:
    headers = (("h\udcff", b"\x00"), ("twice", b"1"), ("twice", b"2"), ("triptych-forwarded", b"x"))
    value = reason.encode() + b"\xff\x00"
    records = [refused(installation, 1, value, b"\xffkey", headers), refused(installation, 2, value, None)]
    await refuse(installation, reason, records)
    wanted = Selection(reason=reason)
    async with dead_letters.open() as letters:
        entries = await found(letters, wanted, with_content=True)
        dry = await letters.replay(entries, "somebody", Permission(dry_run=True))
        assert [result.refusal for result in dry] == [None, None]
        assert len(await found(letters, wanted)) == 2
        results = await letters.replay(entries, "somebody", SAFE)
        assert [result.refusal for result in results] == [None, None]
        assert await found(letters, wanted) == []
        handled = await found(letters, replace(wanted, state=State.REPLAYED), with_content=True)
        assert [(entry.mark.actions[0].by, entry.mark.actions[0].to) for entry in handled if entry.mark] == [
            ("somebody", result.to) for result in results
        ]
        again = await letters.replay(handled, "somebody", SAFE)
        assert {result.refusal for result in again} == {Refusal.HANDLED}
        assert {result.refusal for result in await letters.replay(handled, "b", Permission(again=True))} == {None}
        (dropped, _) = await letters.drop(handled, "c")
        assert dropped.refusal is None
        (entry, _) = await found(letters, replace(wanted, state=State.DROPPED))
        assert entry.mark is not None
        assert [action.state for action in entry.mark.actions] == [State.REPLAYED, State.REPLAYED, State.DROPPED]
    sent = [
        record for record in await everything_on(installation, installation.topics.commands) if record.value == value
    ]
    keyed = [record for record in sent if record.key is not None]
    assert [record.key for record in keyed] == [b"\xffkey"] * 2
    assert {record.partition for record in keyed} == {partition_of(b"\xffkey", PARTITIONS)}
    assert [record.partition for record in sent if record.key is None] == [2, 2]
    assert [header for header in keyed[0].headers if header[0] != "dead-letter-replay"] == list(headers[:3])
    replay = replay_of(keyed[0].headers)
    assert replay is not None
    assert (replay.times, replay.letter, replay.origin) == (
        1,
        entries[0].letter.position,
        Position(installation.topics.commands, 1, 1),
    )


async def test_a_record_at_the_limit_of_its_topic_can_be_replayed(
    installation: Installation, dead_letters: DeadLetters, reason: str
) -> None:
    large = random.Random(1).randbytes(1024 * 1024 - 100)  # as large as the topic takes, and it does not compress
    too_large = random.Random(2).randbytes(1024 * 1024)
    await refuse(
        installation, reason, [refused(installation, 0, value, None) for value in (b"a", large, too_large, b"b")]
    )
    async with dead_letters.open() as letters:
        entries = await found(letters, Selection(reason=reason), with_content=True)
        results = await letters.replay(entries, "somebody", SAFE)
        assert [result.refusal for result in results] == [None, None, Refusal.TOO_LARGE, None]
        (left,) = await found(letters, Selection(reason=reason))
        assert left.bytes == len(too_large)
    sent = [record.value for record in await everything_on(installation, installation.topics.commands)]
    assert [value for value in sent if value in (b"a", large, b"b")] == [b"a", large, b"b"]


async def test_a_dead_letter_in_parts_is_replayed_as_one_record(
    installation: Installation, dead_letters: DeadLetters, reason: str
) -> None:
    topics, bootstrap = installation.topics, installation.addresses.kafka_bootstrap
    await configure_topic(bootstrap, topics.dead_letter(topics.events), {"max.message.bytes": "20000"})
    value = random.Random(3).randbytes(30_000)
    record = replace(refused(installation, 0, value, b"k", (("h\udcff", b"v"),)), topic=topics.events)
    async with refusing(installation) as publisher:
        pieces = await publisher.letters([(record, reason, "why")])
        assert len(pieces) > 2
        half = await publisher.letters([(replace(record, offset=1), reason, "why")])
        # Its writer failed and began again; somebody else's letters are in between.
        for published in (pieces[:2], half[:1], pieces, half[:1]):
            await publisher._publisher.publish(published)
    async with dead_letters.open() as letters:
        entries = await found(letters, Selection(reason=reason), with_content=True)
        assert [entry.letter.pieces for entry in entries] == [len(pieces), len(half), len(pieces), len(half)]
        results = await letters.replay(entries, "somebody", SAFE)
        assert [result.refusal for result in results] == [None, Refusal.INCOMPLETE, None, Refusal.INCOMPLETE]
        whole = await letters.find(entries[0].letter.position)
        assert whole is not None
        assert (whole.letter.value, whole.letter.key, whole.bytes) == (value, b"k", 30_000)
    sent = [one for one in await everything_on(installation, topics.events) if one.value == value]
    assert [(one.key, one.headers[0]) for one in sent] == [(b"k", ("h\udcff", b"v"))] * 2


async def test_what_cannot_be_replayed_is_refused_by_name(
    installation: Installation, dead_letters: DeadLetters, reason: str
) -> None:
    topics = installation.topics
    unreadable = Unreadable(topics.commands, 0, 9, -1, 0, None, reason.encode(), None, -1, 5, (), 7, "broken")
    renamed = replace(refused(installation, 0, b"{"), topic="former.commands")
    async with refusing(installation) as publisher:
        await publisher.dead_letter_unreadable(unreadable)
        (letter,) = await publisher.letters([(renamed, reason, "why")])
        await publisher._publisher.publish([letter._replace(topic=topics.dead_letter(topics.commands))])
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        await producer.send_and_wait(topics.dead_letter(topics.commands), reason.encode(), partition=0)
    async with dead_letters.open() as letters:
        results = []
        for entry in await found(letters, Selection(partition=0), with_content=True):
            if reason in (entry.letter.reason, (entry.letter.value or b"").decode(errors="replace")):
                results += await letters.replay([entry], "somebody", SAFE)
        assert [result.refusal for result in results] == [
            Refusal.UNREADABLE,
            Refusal.OTHER_TOPIC,
            Refusal.NOT_A_DEAD_LETTER,
        ]
        assert {result.refusal for result in await letters.drop(await found(letters, ALL), "somebody")} >= {None}


async def test_marks_last_as_long_as_their_dead_letters(
    installation: Installation, dead_letters: DeadLetters, reason: str
) -> None:
    topics, marks = installation.topics, installation.database[MARKS]
    await refuse(installation, reason, [refused(installation, number, b"{") for number in range(6)])
    async with dead_letters.open() as letters:
        entries = await found(letters, Selection(reason=reason))
        await letters.drop(entries, "somebody")
        (one, *_) = await found(letters, Selection(reason=reason, state=State.DROPPED))
        # The offsets of a topic that was deleted and created again begin at 0: its marks say nothing about new letters.
        await marks.update_one({"_id": str(one.letter.position)}, {"$set": {"topicId": str(uuid.uuid4())}})
        assert [entry.letter.position for entry in await found(letters, Selection(reason=reason))] == [
            one.letter.position
        ]
    await expire_records(installation.addresses.kafka_bootstrap, topics.dead_letter(topics.commands), PARTITIONS)
    await refuse(installation, reason, [refused(installation, 0, b"{")])
    async with dead_letters.open() as letters:
        assert len(await letters.drop(await found(letters, Selection(reason=reason)), "somebody")) == 1
    left = [mark async for mark in marks.find({"topic": topics.dead_letter(topics.commands)})]
    assert len(left) == 1
