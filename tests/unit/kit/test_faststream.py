"""What FastStream does not offer yet. Each test fails when FastStream offers it; our own piece can then go."""

import inspect
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.parser import AioKafkaBatchParser
from faststream.kafka.subscriber import usecase

TIMEOUT_MS = 250


class EmptyTopic:
    """A consumer that finds no records."""

    async def getmany(self, **_: object) -> dict[object, object]:
        return {}


async def test_it_sleeps_after_an_empty_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """So `subscribe` polls by a method of its own."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(usecase, "anyio", SimpleNamespace(sleep=sleep))
    subscriber = SimpleNamespace(batch_timeout_ms=TIMEOUT_MS, max_records=1)
    consumer = cast("AIOKafkaConsumer", EmptyTopic())
    assert await usecase.BatchSubscriber.get_msg(cast("Any", subscriber), consumer) == ()
    assert slept == [TIMEOUT_MS / 1000]


async def test_its_parser_refuses_headers_that_are_not_text() -> None:
    """So `subscribe` has a parser of its own, which passes records on as they are."""
    record = ConsumerRecord("topic", 0, 0, 0, 0, None, b"{}", None, -1, 2, (("name", b"\xff"),))
    with pytest.raises(UnicodeDecodeError):
        await AioKafkaBatchParser(KafkaMessage, None).parse_batch((record,))


def test_a_broker_takes_no_class_of_consumers() -> None:
    """So `make_broker` sets it on the configuration, where FastStream itself keeps the class."""
    types = [str(parameter.annotation) for parameter in inspect.signature(KafkaBroker).parameters.values()]
    assert types
    assert not [text for text in types if "Consumer" in text or "Builder" in text]
