"""How far the projector has come, and what it finds lost."""

from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import REGISTRY

from services.projector.progress import Loss, Progress


def _record(partition: int, offset: int, timestamp: int = 1) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("events", partition, offset, timestamp, 0, None, b"", None, 0, 0, ())


def _metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"triptych_projection_lag_{name}")


def test_offsets_that_the_topic_does_not_reach_back_to_are_lost() -> None:
    progress = Progress()
    assert progress.begin({0: 5, 1: 7, 2: 0}, {0: 5, 1: 9, 2: 0}) == [Loss(1, 7, 9)]
    assert progress.finished == {0: 5, 1: 9, 2: 0}
    assert progress.losses([_record(1, 9), _record(0, 5)]) == []


def test_a_hole_in_the_offsets_is_a_loss_and_a_repeat_is_not() -> None:
    progress = Progress()
    progress.begin({0: 5, 1: 0}, {0: 0, 1: 0})
    first = [_record(0, 5), _record(0, 6), _record(1, 3)]
    assert progress.losses(first) == [Loss(1, 0, 3)]
    assert progress.losses(first) == [Loss(1, 0, 3)]  # until it was met
    progress.take(first)
    assert progress.losses(first) == []
    assert progress.losses([_record(0, 2), _record(0, 9)]) == [Loss(0, 3, 9)]


def test_lag_in_records_and_seconds() -> None:
    progress = Progress()
    progress.begin({0: 0, 1: 0}, {0: 0, 1: 0})
    records = [_record(0, 0, 10_000), _record(1, 0, 5_000)]
    progress.take(records)
    progress.report({0: 4, 1: 1})
    assert _metric("records") == 5
    assert (_metric("seconds") or 0) > 1_000_000  # since 1970
    progress.finish(records)
    assert progress.lag({0: 4, 1: 1}) == 3
    progress.report({0: 1, 1: 1})
    assert (_metric("records"), _metric("seconds")) == (0, 0)
