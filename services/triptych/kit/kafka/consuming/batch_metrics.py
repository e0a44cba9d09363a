"""Owns the metrics of batches: how many records they have, how long they take, and why they are tried again."""

from prometheus_client import Counter, Histogram

from triptych.kit.failures import RETRY_CAUSES, retry_cause
from triptych.kit.process.telemetry import UNREADABLE

RECORDS = Counter("triptych_records_total", "Records taken from a topic and finished", ["topic"])
RETRIES = Counter(
    "triptych_batch_retries_total",
    "Attempts at a batch, or at preparing partitions, that failed and are repeated",
    ["topic", "cause"],
)
# A batch of one command takes 5 ms, a large one a second. A batch also lasts as long as an outage.
BATCH_SECONDS = Histogram(
    "triptych_batch_seconds",
    "Time from taking a batch to finishing it",
    ["topic"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
# The largest batch size that the settings accept is 10,000.
BATCH_RECORDS = Histogram(
    "triptych_batch_records",
    "Records in a batch",
    ["topic"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000),
)


class BatchMetrics:
    """The metrics of one consumer. All series begin at 0, and no method looks up a label."""

    def __init__(self, topic: str) -> None:
        self._records = RECORDS.labels(topic)
        self._batch_records = BATCH_RECORDS.labels(topic)
        self._batch_seconds = BATCH_SECONDS.labels(topic)
        UNREADABLE.labels(topic)
        self._retries = {cause: RETRIES.labels(topic, cause) for cause in RETRY_CAUSES}

    def finished(self, records: int, seconds: float) -> None:
        """Count a finished batch."""
        self._records.inc(records)
        self._batch_records.observe(records)
        self._batch_seconds.observe(seconds)

    def failed(self, error: Exception) -> None:
        """Count an attempt that failed."""
        self._retries[retry_cause(error)].inc()
