"""`subscribe` on a real broker: FastStream polls by our method."""

from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from tests.support.consuming import Recorder, consuming
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.waiting import eventually
from triptych.kit.kafka.reading.subscription import POLL_MS

pytestmark = pytest.mark.only_topics("commands", "commands.dead-letter")


async def test_polls_wait_for_records_instead_of_sleeping_between(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    getmany = AIOKafkaConsumer.getmany

    async def noting(consumer: AIOKafkaConsumer, *partitions: Any, timeout_ms: int = 0, max_records: Any = None) -> Any:
        waits.append(timeout_ms)
        return await getmany(consumer, *partitions, timeout_ms=timeout_ms, max_records=max_records)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", noting)
    recorder = Recorder()
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer, consuming(installation, recorder):
        for value in (b"first", b"second"):
            await producer.send_and_wait(installation.topics.commands, value)
            await eventually(partial(recorder.has, value), f"{value!r} has arrived")
    # A poll by FastStream's own method would have its timeout, and a sleep of the same length.
    assert set(waits) == {POLL_MS}
