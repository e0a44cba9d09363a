"""Gaps in the offsets of a consumer: what has expired, what is missing, and what is only a repeat."""

from typing import Any

from aiokafka import ConsumerRecord

from triptych.kit.kafka.consuming.gaps import NextOffsets, OffsetRange, ends_of, expired


def record(partition: int, offset: int) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("events", partition, offset, 1, 0, None, b"", None, 0, 0, ())


def test_what_lies_before_the_beginning_of_the_topic_has_expired() -> None:
    offsets = NextOffsets()
    assert offsets.begin({0: 5, 1: 7, 2: 0}, {0: 5, 1: 9, 2: 0}) == [OffsetRange(1, 7, 9)]
    assert offsets.by_partition == {0: 5, 1: 9, 2: 0}
    assert offsets.gaps([record(1, 9), record(0, 5)]) == []


def test_only_the_partitions_of_the_last_assignment_are_owned() -> None:
    offsets = NextOffsets()
    offsets.begin({0: 5, 1: 7}, {0: 0, 1: 0})
    offsets.begin({1: 8}, {1: 0})
    assert offsets.by_partition == {1: 8}
    assert offsets.gaps([record(0, 20)]) == []


def test_gaps_are_found_before_and_between_records_and_a_repeat_is_none() -> None:
    offsets = NextOffsets()
    offsets.begin({0: 5, 1: 0}, {0: 0, 1: 0})
    first = [record(0, 5), record(0, 6), record(0, 9), record(1, 3)]
    assert offsets.gaps(first) == [OffsetRange(0, 7, 9), OffsetRange(1, 0, 3)]
    assert offsets.gaps(first) == [OffsetRange(0, 7, 9), OffsetRange(1, 0, 3)], "asking changes nothing"
    offsets.advance(ends_of(first))
    assert offsets.gaps([record(0, 9), record(0, 10), record(1, 3)]) == []
    assert offsets.gaps([record(0, 2), record(0, 12)]) == [OffsetRange(0, 3, 12)]


def test_gaps_are_found_in_a_topic_that_was_created_again() -> None:
    offsets = NextOffsets()
    offsets.begin({0: 50}, {0: 0})
    offsets.advance({0: 1})
    assert offsets.gaps([record(0, 4)]) == [OffsetRange(0, 1, 4)]


def test_a_gap_has_expired_as_far_as_it_lies_before_the_beginning_of_the_topic() -> None:
    transaction_markers, gone = OffsetRange(0, 3, 9), OffsetRange(1, 3, 9)
    assert expired([transaction_markers, gone], {0: 3, 1: 20}) == [gone]
    assert expired([transaction_markers], {0: 0}) == []
    assert expired([gone], {1: 5}) == [OffsetRange(1, 3, 5)]
