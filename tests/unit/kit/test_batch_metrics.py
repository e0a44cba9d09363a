"""The metrics of batches begin at 0, and say why a batch was tried again."""

from collections.abc import Callable

from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect

import triptych.kit.mongo.driver  # noqa: F401 - it registers the driver's errors
from triptych.kit.failures import RETRY_CAUSES, OwnershipLost, RecordTooLarge, TransientFailure
from triptych.kit.kafka.consuming.batch_metrics import BatchMetrics
from triptych.kit.kafka.errors import no_answer

COUNTED, FAILED = "a topic with finished batches", "a topic with failed batches"


def values_of(topic: str) -> Callable[..., float | None]:
    return lambda name, **labels: REGISTRY.get_sample_value(f"triptych_{name}", {"topic": topic, **labels})


def test_batches_are_counted_from_zero() -> None:
    metrics, value = BatchMetrics(COUNTED), values_of(COUNTED)
    assert value("records_total") == value("batch_seconds_count") == value("unreadable_records_total") == 0
    assert {value("batch_retries_total", cause=cause) for cause in RETRY_CAUSES} == {0}
    metrics.finished(500, 0.3)
    metrics.finished(1, 0.003)
    assert value("records_total") == value("batch_records_sum") == 501
    assert (value("batch_records_bucket", le="1.0"), value("batch_records_bucket", le="500.0")) == (
        1,
        2,
    )
    assert (value("batch_seconds_bucket", le="0.005"), value("batch_seconds_bucket", le="0.5")) == (
        1,
        2,
    )


def test_attempts_that_failed_are_counted_by_cause() -> None:
    metrics, value = BatchMetrics(FAILED), values_of(FAILED)
    before = {cause: value("batch_retries_total", cause=cause) or 0 for cause in RETRY_CAUSES}
    for error in (
        KafkaConnectionError("x"),
        no_answer(TimeoutError()),
        _caused(TransientFailure("MongoDB transaction: x"), AutoReconnect("x")),
        TransientFailure("x"),
        RecordTooLarge("x"),
        OwnershipLost("x"),
        KeyError("x"),
    ):
        metrics.failed(error)
    counted = {cause: (value("batch_retries_total", cause=cause) or 0) - before[cause] for cause in RETRY_CAUSES}
    assert counted == {"kafka": 2, "mongodb": 1, "dependency": 1, "operator": 1, "ownership": 1, "ours": 1}


def _caused(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except TransientFailure as raised:
        return raised
