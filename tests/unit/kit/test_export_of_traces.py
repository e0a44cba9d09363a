"""A receiver of traces that is away or slow blocks nothing, delays no stop for long, and is reported once a minute."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tests.support.log_lines import logged
from tests.support.traces import SAMPLED
from triptych.kit.process.stopping import StopDeadline, set_stop_deadline
from triptych.kit.tracing import setup
from triptych.kit.tracing.exporting import ReportingExporter
from triptych.kit.tracing.setup import make_provider, stop_tracing, trace_with
from triptych.kit.tracing.spans import tracer_in_use, use_tracer


class Receiver(SpanExporter):
    """A receiver that takes spans, refuses them, or hangs until it is told to go on."""

    def __init__(self, result: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.result = result
        self.spans: list[ReadableSpan] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may_go_on.wait(20)
        if isinstance(self.result, Exception):
            raise self.result
        self.spans += spans
        return self.result


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    yield
    use_tracer(None)


def trace_to(receiver: Receiver, count: int) -> float:
    """Make `count` spans; the seconds that it took."""
    provider = make_provider("tests")
    provider.add_span_processor(BatchSpanProcessor(ReportingExporter(receiver)))
    trace_with(provider)
    tracer = tracer_in_use()
    assert tracer is not None
    started = time.monotonic()
    for _ in range(count):
        with tracer.step("s", (SAMPLED, None), {}):
            pass
    return time.monotonic() - started


async def test_the_last_spans_are_exported_when_a_process_stops() -> None:
    receiver = Receiver()
    trace_to(receiver, 3)
    await stop_tracing()
    assert [span.name for span in receiver.spans] == ["s"] * 3
    assert tracer_in_use() is None


async def test_a_receiver_that_hangs_blocks_neither_work_nor_a_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(setup, "FLUSH_SECONDS", 0.1)
    receiver = Receiver()
    receiver.may_go_on.clear()
    try:
        assert trace_to(receiver, 3_000) < 5  # more than the queue takes: the rest is dropped
        started = time.monotonic()
        await stop_tracing()
        assert time.monotonic() - started < 2
        assert "the last traces were abandoned" in caplog.text
    finally:
        receiver.may_go_on.set()


async def test_a_stop_that_is_late_does_not_wait_for_traces(caplog: pytest.LogCaptureFixture) -> None:
    deadline = StopDeadline(scale=0.001)
    set_stop_deadline(deadline)
    deadline.begin()
    time.sleep(0.05)  # noqa: ASYNC251 - the deadline passes
    receiver = Receiver()
    receiver.may_go_on.clear()
    try:
        trace_to(receiver, 1)
        started = time.monotonic()
        await stop_tracing()
        assert time.monotonic() - started < 1
    finally:
        receiver.may_go_on.set()


async def test_without_tracing_a_stop_has_nothing_to_do() -> None:
    threads = threading.active_count()
    await stop_tracing()
    assert threading.active_count() == threads


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, ConnectionError("http://user:secret@host")])
def test_lost_spans_are_counted_and_reported_once_a_minute(
    result: SpanExportResult | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    now = 100.0
    receiver = Receiver(result)
    exporter = ReportingExporter(receiver, clock=lambda: now)
    spans: list[ReadableSpan] = [ReadableSpan("s")] * 5
    for seconds in (0.0, 20.0, 20.0, 19.0):
        now += seconds
        assert exporter.export(spans) is SpanExportResult.FAILURE
    event = "traces cannot be exported; spans were lost"
    assert [line["count"] for line in logged(caplog.records, event)] == [5]
    now += 1.0
    exporter.export(spans)
    assert logged(caplog.records, event)[-1]["count"] == 20
    receiver.result = SpanExportResult.SUCCESS
    now += 60.0
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text
