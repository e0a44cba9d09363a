"""Expired events are reported once, to the listeners that may have wanted them; no listener gets older events."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from tests.support.listener_examples import NOW, listener
from tests.support.log_lines import logged
from triptych.kit.kafka.consuming.gaps import OffsetRange
from triptych.webhooks.relay.expired_events import ExpiryReporter, may_concern
from triptych.webhooks.relay.offsets import ExpiredRange, PlannedOffsets
from triptych.webhooks.store.listener_documents import CLOCKS_DIFFER, ListenerStatus, Published
from triptych.webhooks.store.operational_events import OperationalEventKind

LATER = NOW + CLOCKS_DIFFER
EARLIER = NOW - CLOCKS_DIFFER - timedelta(seconds=1)


def record(offset: int, partition: int = 0) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("t", partition, offset, 0, 0, None, b"", None, 0, 0, ())


# Committed offset, first offset and end offset of the partition; the expired ranges.
STARTS: dict[str, tuple[dict[int, int], int, int, list[ExpiredRange]]] = {
    "in the middle": ({0: 5}, 0, 9, []),
    "at the beginning": ({0: 5}, 5, 9, []),
    "at the end": ({0: 9}, 0, 9, []),
    "new group": ({}, 0, 9, []),
    "expired": ({0: 5}, 7, 9, [ExpiredRange(0, 5, 7)]),
    "all expired": ({0: 5}, 9, 9, [ExpiredRange(0, 5, 9)]),
    "offsets lost and expired": ({}, 7, 9, [ExpiredRange(0, 0, 7)]),
    "created again": ({0: 5}, 0, 3, [ExpiredRange(0, 3, 5, is_topic_new=True)]),
}


@pytest.mark.parametrize("name", STARTS)
def test_starts(name: str) -> None:
    committed, beginning, end, ranges = STARTS[name]
    assert PlannedOffsets().begin(committed, {0: beginning}, {0: end}) == ranges


def test_records_are_expected_until_they_are_planned() -> None:
    planned = PlannedOffsets()
    planned.begin({0: 5}, {0: 0}, {0: 20})
    assert planned.gaps([record(9)]) == [OffsetRange(0, 5, 9)]
    planned.finish([record(5), record(6)])
    assert planned.gaps([record(9)]) == [OffsetRange(0, 7, 9)]


def test_which_listeners_an_expired_range_may_concern() -> None:
    expired_range = ExpiredRange(0, 5, 9)
    assert may_concern(listener(begins={0: 8}), expired_range)
    assert not may_concern(listener(begins={0: 9}), expired_range)
    assert may_concern(listener(begins=None), expired_range)
    assert may_concern(listener(begins={}), expired_range)
    assert not may_concern(listener(status=ListenerStatus.DELETED), expired_range)
    assert may_concern(listener(begins={0: 99}), ExpiredRange(0, 3, 99, is_topic_new=True))


# The offsets at which a listener begins, the offset and time of an event; whether the event may be for it.
EVENTS: dict[str, tuple[dict[int, int] | None, int, datetime | None, bool]] = {
    "before": ({0: 10}, 9, NOW, False),
    "the first": ({0: 10}, 10, NOW, True),
    "before by offset, a little later by another clock": ({0: 10}, 9, NOW + timedelta(minutes=4), False),
    "after by offset, long before by another clock": ({0: 10}, 10, EARLIER, True),
    "on a topic created again": ({0: 10}, 0, LATER, True),
    "on a partition that did not exist": ({1: 10}, 0, NOW, True),
    "without a time": ({0: 10}, 9, None, False),
    "long before a listener of an earlier version": (None, 9, EARLIER, False),
    "about when a listener of an earlier version was created": (None, 9, NOW, True),
    "without a time, for a listener of an earlier version": (None, 9, None, True),
}


@pytest.mark.parametrize("name", EVENTS)
def test_which_events_are_older_than_a_listener(name: str) -> None:
    begins, offset, at, is_for_it = EVENTS[name]
    assert listener(begins=begins).is_older_than(Published(0, offset, at)) == is_for_it


class Kafka:
    """Offsets that a test sets."""

    def __init__(self) -> None:
        self.committed_offsets: dict[int, int] = {0: 2}
        self.beginning = 5

    async def committed(self) -> dict[int, int]:
        return self.committed_offsets

    async def beginnings(self, partitions: Any) -> dict[int, int]:
        return dict.fromkeys(partitions, self.beginning)

    async def ends(self, partitions: Any) -> dict[int, int]:
        return dict.fromkeys(partitions, 100)


class Recorder:
    """Keeps the operational events that are recorded; fails while `is_away`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[tuple[str, str]], str]] = []
        self.is_away = False

    async def record_each(
        self, kind: OperationalEventKind, listeners: Any, occurrence: str, _text: str, _now: datetime
    ) -> None:
        if self.is_away:
            raise ConnectionError
        self.events.append((kind.value, listeners, occurrence))


async def test_an_expired_range_is_reported_once_in_log_readiness_and_to_each_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kafka, recorder = Kafka(), Recorder()
    all_listeners = [listener(id="a", begins={0: 0}), listener(id="b", begins={0: 50})]

    async def listeners() -> Any:
        return all_listeners

    operational_events: Any = recorder
    reporter = ExpiryReporter(kafka, operational_events, listeners, lambda: NOW)
    recorder.is_away = True
    with pytest.raises(ConnectionError):
        await reporter.begin(frozenset({0}))
    recorder.is_away = False
    for _ in range(2):
        await reporter.begin(frozenset({0}))
    assert recorder.events == [("events.expired", [("s", "a")], "0:2-5")]
    (line,) = logged(caplog.records)
    assert len(caplog.records) == 1
    assert line["problem"].startswith("events 2 to 4 of partition 0 have expired")
    assert (line["partition"], line["offset"], line["last_offset"], line["count"]) == (0, 2, 4, 1)
    detail = await reporter.detail()
    assert detail is not None
    assert "events 2 to 4" in detail

    kafka.beginning = 8
    await reporter.check([record(9)])
    reporter.finish([record(9)])
    await reporter.check([record(10)])
    assert [occurrence for _, _, occurrence in recorder.events] == ["0:2-5", "0:5-8"]


async def test_a_range_that_concerns_no_listener_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def listeners() -> Any:
        return [listener(begins={0: 50})]

    operational_events: Any = Recorder()
    reporter = ExpiryReporter(Kafka(), operational_events, listeners, lambda: NOW)
    await reporter.begin(frozenset({0}))
    assert (await reporter.detail(), caplog.messages) == (None, [])
