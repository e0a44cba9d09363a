"""Configures logging, and defines the metrics that all services share."""

import logging
import sys
import time

import orjson
from prometheus_client import Counter

from triptych.kit.attribution import TextFormatter, fields_of
from triptych.kit.process.deduplicating_logs import DeduplicatingHandler

DEAD_LETTERS = Counter("triptych_dead_letters_total", "Records that were dead-lettered", ["topic", "reason"])
UNREADABLE = Counter("triptych_unreadable_records_total", "Offsets of records that no client can read", ["topic"])
RECORDS_TOO_LARGE = Counter(
    "triptych_refused_batches_total", "Batches that a broker refused because of their size", ["topic"]
)
LOOP_FAILURES = Counter("triptych_loop_failures_total", "Loops that ended, failed or made no progress", ["loop"])

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
