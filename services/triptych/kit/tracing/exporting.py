"""Reports spans that cannot be exported, at most once a minute. Imported only when tracing is on."""

import logging
import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

REPORT_SECONDS = 60.0
QUIET = ("opentelemetry.exporter", "opentelemetry.util.re")
"""Loggers of exporters: the first logs each attempt, and `ReportingExporter` counts what is lost instead. The second
quotes a header field that it cannot read, which may have a password."""


class ReportingExporter(SpanExporter):
    """Exports with another exporter. It never raises anything; it is called in a thread of its own."""

    def __init__(self, exporter: SpanExporter, clock: Callable[[], float] = time.monotonic) -> None:
        """`exporter` exports; `clock` returns seconds."""
        self._exporter = exporter
        self._clock = clock
        self._lost = 0
        self._reported_at: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans, or count them as lost."""
        reason = "the receiver refused them, or did not answer"
        try:
            if self._exporter.export(spans) is SpanExportResult.SUCCESS:
                return SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001 - whatever it is, only traces are concerned
            reason = type(error).__name__
        self._lost += len(spans)
        now = self._clock()
        if self._reported_at is None or now - self._reported_at >= REPORT_SECONDS:
            log.warning("traces cannot be exported; spans were lost", count=self._lost, error=str(reason))
            self._reported_at, self._lost = now, 0
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Stop exporting; an attempt that waits to be repeated ends."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)


def quieten_exporters() -> None:
    """Leave reports of exporters to `ReportingExporter`."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
