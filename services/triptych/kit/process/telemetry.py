"""Defines the metrics that all services share."""

from prometheus_client import Counter

DEAD_LETTERS = Counter("triptych_dead_letters_total", "Records that were dead-lettered", ["topic", "reason"])
UNREADABLE = Counter("triptych_unreadable_records_total", "Offsets of records that no client can read", ["topic"])
RECORDS_TOO_LARGE = Counter(
    "triptych_refused_batches_total", "Batches that a broker refused because of their size", ["topic"]
)
LOOP_FAILURES = Counter("triptych_loop_failures_total", "Loops that ended, failed or made no progress", ["loop"])
