"""Offsets stay until Kafka has taken them, unless their partitions are taken away."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from triptych.kit.kafka.consuming import commits
from triptych.kit.kafka.consuming.commits import OffsetCommits
from triptych.kit.kafka.errors import KafkaAway

FIRST, SECOND = TopicPartition("topic", 1), TopicPartition("topic", 2)


class Consumer:
    """Commits at once, or not at all, or refuses."""

    def __init__(self) -> None:
        self.answers = True
        self.error: Exception | None = None
        self.committed: list[Mapping[TopicPartition, int]] = []

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not self.answers:
            await asyncio.get_running_loop().create_future()
        if self.error is not None:
            raise self.error
        self.committed.append(offsets)


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def offsets(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> OffsetCommits:
    """Offsets that are flushed by the test only."""
    monkeypatch.setattr(commits, "COMMIT_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(commits, "COMMIT_SECONDS", 3_600.0)
    return OffsetCommits("topic", lambda: cast("Any", consumer))


async def test_offsets_that_kafka_did_not_take_are_committed_later(consumer: Consumer, offsets: OffsetCommits) -> None:
    consumer.answers = False
    offsets.add([{FIRST: 3, SECOND: 1}])
    with pytest.raises(KafkaAway):
        await offsets.flush()
    consumer.answers = True
    offsets.add([{FIRST: 5}])
    await offsets.flush()
    assert consumer.committed == [{FIRST: 5, SECOND: 1}]
    await offsets.stop()


async def test_offsets_of_partitions_that_were_taken_away_are_dropped(
    consumer: Consumer, offsets: OffsetCommits
) -> None:
    consumer.answers = False
    offsets.add([{FIRST: 3}])
    flushing = asyncio.create_task(offsets.flush())
    await asyncio.sleep(0)
    offsets.discard()
    await flushing
    consumer.answers = True
    await offsets.flush()
    assert consumer.committed == []
    await offsets.stop()


async def test_offsets_that_kafka_refuses_are_dropped(consumer: Consumer, offsets: OffsetCommits) -> None:
    consumer.error = CommitFailedError()
    offsets.add([{FIRST: 3}])
    await offsets.flush()
    consumer.error = None
    await offsets.flush()
    assert consumer.committed == []
    await offsets.stop()
