"""Defines the metrics that all services share."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("triptych_records_total", "Records taken from a topic and finished", ["topic"])
DEAD_LETTERS = Counter("triptych_dead_letters_total", "Records that were dead-lettered", ["topic", "reason"])
UNREADABLE = Counter("triptych_unreadable_records_total", "Offsets of records that no client can read", ["topic"])
RECORDS_TOO_LARGE = Counter(
    "triptych_refused_batches_total", "Batches that a broker refused because of their size", ["topic"]
)
RETRIES = Counter("triptych_batch_retries_total", "Batches tried again because a dependency was away", ["topic"])
LOOP_FAILURES = Counter("triptych_loop_failures_total", "Loops that ended, failed or made no progress", ["loop"])
BATCH_SECONDS = Histogram(
    "triptych_batch_seconds",
    "Time from taking a batch to finishing it",
    ["topic"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LAG = Gauge("triptych_lag_records", "Records of an owned partition that are not finished", ["topic", "partition"])
LAG_SECONDS = Gauge(
    "triptych_lag_seconds",
    "Age of the oldest record of an owned partition that is not finished, or the time since it was seen first",
    ["topic", "partition"],
)
