"""Offsets of a topic are read by one reader, which is started when it is first needed."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.reading import offsets as offsets_module
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.kafka.topic_facts import TopicFacts


class Reader:
    """A topic whose partition n has the offsets from n to 10 n; it fails as the test decides."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.starts = self.stops = 0
        self._client = None

    async def start(self) -> None:
        self.starts += 1
        await asyncio.sleep(0)
        self._fail()

    async def look_for_leaders(self, topic: str) -> None:
        assert topic == "t"

    async def stop(self) -> None:
        self.stops += 1

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self._fail()
        return {one: one.partition for one in partitions}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self._fail()
        return {one: 10 * one.partition for one in partitions}

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """The reader that is made."""
    reader = Reader()
    monkeypatch.setattr(offsets_module, "make_reader", lambda _settings: reader)
    return reader


async def test_the_reader_is_started_once_when_it_is_first_needed(reader: Reader) -> None:
    offsets = TopicOffsets(cast("Any", None), "t")
    await offsets.stop()
    assert (reader.starts, reader.stops) == (0, 0)
    beginnings, ends = await asyncio.gather(offsets.beginnings([1, 2]), offsets.ends([1, 2]))
    assert (beginnings, ends) == ({1: 1, 2: 2}, {1: 10, 2: 20})
    await offsets.stop()
    assert (reader.starts, reader.stops) == (1, 1)


@pytest.mark.parametrize("failure", [KafkaConnectionError("away"), asyncio.CancelledError()])
async def test_a_reader_that_cannot_start_is_closed_and_the_next_call_tries_again(
    reader: Reader, failure: BaseException
) -> None:
    offsets = TopicOffsets(cast("Any", None), "t")
    reader.failure = failure
    with pytest.raises(TransientFailure if isinstance(failure, KafkaError) else type(failure)):
        await offsets.ends([0])
    assert (reader.starts, reader.stops) == (1, 1)
    reader.failure = None
    assert await offsets.ends([3]) == {3: 30}
    assert reader.starts == 2


@pytest.mark.parametrize("partitions", [3, None])
async def test_the_ends_of_all_partitions(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, partitions: int | None
) -> None:
    async def describe(_client: object, names: Sequence[str]) -> dict[str, TopicFacts | None]:
        return {name: None if partitions is None else TopicFacts(uuid.UUID(int=1), partitions) for name in names}

    monkeypatch.setattr(offsets_module, "describe_topics", describe)
    async with TopicOffsets(cast("Any", None), "t") as offsets:
        if partitions is None:
            with pytest.raises(TransientFailure, match="UnknownTopic"):
                await offsets.all_ends()
        else:
            assert await offsets.all_ends() == {0: 0, 1: 10, 2: 20}
    assert (reader.starts, reader.stops) == (1, 1)


async def test_a_reader_that_hangs_is_not_waited_for_long(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(offsets_module, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(reader, "end_offsets", hang)
    with pytest.raises(TransientFailure):
        await TopicOffsets(cast("Any", None), "t").ends([0])


async def test_a_reader_survives_a_failed_request(reader: Reader) -> None:
    offsets = TopicOffsets(cast("Any", None), "t")
    await offsets.ends([0])
    reader.failure = KafkaError("slow")
    for read in (offsets.beginnings, offsets.ends):
        with pytest.raises(TransientFailure, match="Kafka does not answer"):
            await read([0])
    reader.failure = None
    assert await offsets.ends([1]) == {1: 10}
    assert (reader.starts, reader.stops) == (1, 0)
