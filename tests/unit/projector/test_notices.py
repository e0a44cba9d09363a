"""Notices to gateways: one for each topic and gallery, in the background, and never in the way of the projection."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from triptych.contract.codec.notices import NOTICE_TYPE, Shown, decode_notice
from triptych.contract.topics import Topics
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.projector.join import notices as notices_module
from triptych.projector.join.notices import Notices, Wanted
from triptych.projector.view.fold import View

TOPICS = Topics("t.")
OURS, THEIRS = b"t.replies.0", b"t.replies.1"
VIEWS = {id_: View("s", id_, sequence) for id_, sequence in (("a", 3), ("b", 7))}


class Kafka:
    """Keeps what is published. Publishing waits for `may_take`, and fails with `failure`."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.calls = 0
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.failure: Exception | None = None

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        self.calls += 1
        await self.may_take.wait()
        if self.failure is not None:
            raise self.failure
        self.records += records

    @property
    def told(self) -> list[tuple[str, list[Shown]]]:
        return [(record.topic, decode_notice(record.value or b"")) for record in self.records]


def made(kafka: Kafka) -> Notices:
    return Notices(cast("Publisher", kafka), TOPICS, 2)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def dropped() -> float:
    return REGISTRY.get_sample_value("triptych_notices_dropped_total") or 0.0


async def test_each_gateway_is_told_once_about_each_gallery() -> None:
    kafka = Kafka()
    notices = made(kafka)
    asked = [*[Wanted(OURS, "a")] * 3, Wanted(THEIRS, "a"), Wanted(OURS, "b")]
    notices.send_soon(asked, VIEWS)
    await until(lambda: kafka.records)
    assert kafka.told == [
        ("t.replies.0", [Shown("s", "a", 3), Shown("s", "b", 7)]),
        ("t.replies.1", [Shown("s", "a", 3)]),
    ]
    assert all(record.partition == 0 and ("ce_type", NOTICE_TYPE) in record.headers for record in kafka.records)
    await notices.stop()


async def test_notices_that_wait_are_sent_together_with_the_latest_sequences() -> None:
    kafka = Kafka()
    notices = made(kafka)
    kafka.may_take.clear()
    notices.send_soon([Wanted(THEIRS, "b")], VIEWS)
    await until(lambda: kafka.calls)
    for sequence in (4, 5):
        notices.send_soon([Wanted(OURS, "a")], {"a": View("s", "a", sequence)})
    kafka.may_take.set()
    await until(lambda: len(kafka.records) == 2)
    assert kafka.told[1] == ("t.replies.0", [Shown("s", "a", 5)])
    await notices.stop()


@pytest.mark.parametrize("topic", [b"", b"t.replies", b"t.replies.2", b"t.events", b"elsewhere.replies.0", b"\xff"])
async def test_other_topics_get_no_notice(topic: bytes) -> None:
    kafka = Kafka()
    notices = made(kafka)
    notices.send_soon([Wanted(topic, "a"), Wanted(OURS, "unknown")], VIEWS)
    notices.send_soon([Wanted(OURS, "b")], VIEWS)
    await until(lambda: kafka.records)
    assert kafka.told == [("t.replies.0", [Shown("s", "b", 7)])]
    await notices.stop()


async def test_a_notice_has_a_bounded_number_of_galleries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "NOTICE_GALLERIES_MAX", 2)
    kafka = Kafka()
    notices = made(kafka)
    views = {str(number): View("s", str(number), 1) for number in range(5)}
    notices.send_soon([Wanted(OURS, id_) for id_ in views], views)
    await until(lambda: kafka.records)
    assert [[shown.gallery_id for shown in told] for _, told in kafka.told] == [["0", "1"], ["2", "3"], ["4"]]
    await notices.stop()


@pytest.mark.parametrize("failure", [TransientFailure("the topic is away"), ValueError("a bug")])
async def test_notices_that_kafka_does_not_take_are_dropped(failure: Exception) -> None:
    before, kafka = dropped(), Kafka()
    notices = made(kafka)
    kafka.failure = failure
    notices.send_soon([Wanted(OURS, "a"), Wanted(OURS, "b")], VIEWS)
    await until(lambda: dropped() == before + 2)
    kafka.failure = None
    notices.send_soon([Wanted(THEIRS, "a")], VIEWS)
    await until(lambda: kafka.records)
    assert kafka.told == [("t.replies.1", [Shown("s", "a", 3)])]
    await notices.stop()


async def test_the_notices_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "PENDING_MAX", 2)
    before, kafka = dropped(), Kafka()
    notices = made(kafka)
    kafka.may_take.clear()
    notices.send_soon([Wanted(OURS, "a")], VIEWS)
    await until(lambda: kafka.calls)
    for _ in range(4):
        notices.send_soon([Wanted(THEIRS, "b")], VIEWS)
    assert dropped() == before + 2
    kafka.may_take.set()
    await until(lambda: len(kafka.records) == 2)
    await notices.stop()
