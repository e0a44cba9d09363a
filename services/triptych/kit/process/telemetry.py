"""Configures logging, and defines the metrics that all services share."""

import logging
import sys
import time

import orjson
from prometheus_client import Counter, Gauge, Histogram

from triptych.kit.attribution import TextFormatter, fields_of
from triptych.kit.process.deduplicating_logs import DeduplicatingHandler

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

# Libraries that log each retry and rebalance at level INFO.
QUIET = ("aiokafka", "faststream", "pymongo", "httpx", "httpcore", "uvicorn.access", "asyncio")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def configure_logging(level: str, log_format: str) -> None:
    """Send all logs to stderr: `text` for people, `json` for collectors."""
    handler = DeduplicatingHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
