"""The projector's offsets: gaps and expired records, lag, and which partitions are fully published."""

import time
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import REGISTRY

from triptych.kit.kafka.consuming.gaps import OffsetRange
from triptych.projector.ingest.offsets import MissingRecords, ProjectedOffsets


def _record(partition: int, offset: int, timestamp: int = 1) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("events", partition, offset, timestamp, 0, None, b"", None, 0, 0, ())


def _metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"triptych_projection_lag_{name}")


def test_committed_offsets_below_the_beginning_of_the_topic_have_expired() -> None:
    offsets = ProjectedOffsets()
    assert offsets.begin({0: 5, 1: 7, 2: 0}, {0: 5, 1: 9, 2: 0}, {}) == [MissingRecords(1, 7, 9)]
    assert offsets.gaps([_record(1, 9), _record(0, 5)]) == []


def test_records_are_expected_once_they_are_begun() -> None:
    offsets = ProjectedOffsets()
    offsets.begin({0: 5}, {0: 0}, {})
    records = [_record(0, 7)]
    assert offsets.gaps(records) == offsets.gaps(records) == [OffsetRange(0, 5, 7)]  # until it is handled
    offsets.begin_records(records)
    assert offsets.gaps(records) == []


def test_lag_in_records_and_seconds() -> None:
    offsets = ProjectedOffsets()
    offsets.begin({0: 0, 1: 0}, {0: 0, 1: 0}, {})
    records = [_record(0, 0, 10_000), _record(1, 0, 5_000), _record(1, 1, -1)]
    offsets.begin_records(records)
    offsets.report(5)
    assert _metric("records") == 5
    assert 1_000_000 < (_metric("seconds") or 0) < time.time()  # since 5 s after 1970 began
    offsets.finish(records)
    offsets.report(0)
    assert (_metric("records"), _metric("seconds")) == (0, 0)


def test_the_oldest_event_of_all_lanes_in_progress_counts() -> None:
    offsets = ProjectedOffsets()
    offsets.begin({0: 0, 1: 0}, {0: 0, 1: 0}, {})
    now_ms = int(time.time() * 1000)
    lanes = [[_record(0, 0, now_ms - 100_000)], [_record(1, 0, now_ms - 50_000), _record(1, 1, now_ms)]]
    for lane in lanes:
        offsets.begin_records(lane)
    offsets.report(3)
    assert 100 <= (_metric("seconds") or 0) < 150
    offsets.finish(lanes[0])
    offsets.report(2)
    assert 50 <= (_metric("seconds") or 0) < 100
    offsets.begin({0: 1}, {0: 0}, {})  # the lane that was not finished belongs to another process now
    offsets.report(1)
    assert (_metric("seconds") or 0) >= 100


def test_a_partition_is_fully_published_when_all_that_may_be_stored_is_finished() -> None:
    offsets = ProjectedOffsets()
    offsets.begin({0: 0, 1: 4}, {0: 0, 1: 0}, {0: 3, 1: 4})
    assert offsets.fully_published({0: 0, 1: 4}) == {1}
    offsets.begin_records([_record(0, 0), _record(0, 1), _record(1, 4)])
    assert offsets.fully_published({0: 0, 1: 4}) == set()  # some of the batch may be stored already
    assert offsets.fully_published({0: 2, 1: 5}) == {1}  # a former owner may have stored more of partition 0
    assert offsets.fully_published({0: 3, 1: 5}) == {0, 1}  # the last offset was a transaction marker
    assert offsets.fully_published({0: 3}) == {0}


def test_a_partition_is_not_fully_published_before_its_owner_has_started() -> None:
    assert ProjectedOffsets().fully_published({0: 7}) == set()


def test_a_partition_of_a_topic_that_was_created_again_does_not_wait_for_the_deleted_one() -> None:
    offsets = ProjectedOffsets()
    offsets.begin({0: 50}, {0: 0}, {0: 100})
    assert offsets.fully_published({0: 50}) == set()
    offsets.begin_records([_record(0, 0), _record(0, 1)])
    assert offsets.fully_published({0: 0}) == set()
    assert offsets.fully_published({0: 2}) == {0}
