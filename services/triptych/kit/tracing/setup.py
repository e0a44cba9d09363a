"""Turns tracing on at the start of a process if the environment asks for it, and off at its stop.

The environment variables are those of the OpenTelemetry specification. Two rules are stricter than the specification:
without an address or an exporter nothing is exported (the specification's default is a collector on this machine), and
a value that cannot be used ends the process instead of being ignored, if nothing would be exported because of it.
"""

import asyncio
import contextlib
import importlib.util
import os
import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from triptych.kit.failures import StartRefused
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.stopping import TRACES, stop_deadline
from triptych.kit.tracing.spans import tracer_in_use, use_tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = get_logger(__name__)

EXPORTER, DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OTLP, CONSOLE, NONE = "otlp", "console", "none"
PROTOCOL = "http/protobuf"
NEEDED = (
    "opentelemetry.sdk",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.pymongo",
)
FLUSH_SECONDS = 2.0
"""How long a stop waits for the last spans to be exported, at most. A receiver that is away delays no stop by more."""


def exporters(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The exporters that the environment asks for; none if tracing is off. An empty variable counts as unset.

    Raises:
        StartRefused: a variable has a value that cannot be used. The message does not quote addresses.
    """
    if _value(environ, DISABLED).lower() == "true":
        return ()
    endpoint = next((name for name in ENDPOINTS if _value(environ, name)), None)
    named = _value(environ, EXPORTER) or (OTLP if endpoint else NONE)
    chosen = tuple(dict.fromkeys(name for part in named.split(",") if (name := part.strip().lower())))
    if chosen == (NONE,):
        return ()
    if unknown := sorted(set(chosen) - {OTLP, CONSOLE}):
        raise StartRefused(f"{EXPORTER}={','.join(unknown)}: the exporters are {OTLP}, {CONSOLE} and {NONE}")
    if OTLP in chosen:
        protocol = next((name for name in PROTOCOLS if _value(environ, name)), None)
        if protocol and _value(environ, protocol).lower() != PROTOCOL:
            raise StartRefused(f"{protocol}: traces are exported with {PROTOCOL} only")
        if endpoint and not _value(environ, endpoint).lower().startswith(("http://", "https://")):
            raise StartRefused(f"{endpoint} must be an address that begins with http:// or https://")
    return chosen


def start_tracing(role: str) -> None:
    """Turn tracing on if the environment asks for it.

    Args:
        role: the name of the service. `service.name` is `triptych-<role>` unless the environment names the service.

    Raises:
        StartRefused: tracing is asked for, and OpenTelemetry is not installed or cannot be used as configured.
    """
    chosen = exporters(os.environ)
    if not chosen:
        return
    try:
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError:  # a parent package is missing
        missing = list(NEEDED)
    if missing:
        raise StartRefused(
            f"traces are asked for ({EXPORTER} or {ENDPOINTS[1]}), and OpenTelemetry is not installed: "
            "pip install 'triptych[tracing]'"
        )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from triptych.kit.tracing.exporting import ReportingExporter, quieten_exporters

    quieten_exporters()
    try:
        provider = make_provider(role)
        for name in chosen:
            provider.add_span_processor(BatchSpanProcessor(ReportingExporter(_exporter(name))))
    except Exception as error:
        raise StartRefused(f"traces cannot be exported as the variables OTEL_* say: {error}") from error
    trace_with(provider)


def make_provider(role: str) -> "TracerProvider":
    """A provider without exporters. Sampler, limits and resource attributes are those of the environment."""
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider

    from triptych.kit.tracing.redaction import QueryRedaction
    from triptych.kit.tracing.sampling import LinkSampler

    own = {SERVICE_NAME: f"triptych-{role}", SERVICE_VERSION: version("triptych")}
    given = OTELResourceDetector().detect().attributes
    resource = Resource.create({name: value for name, value in own.items() if name not in given})
    # Its own hook at exit would wait for the receiver without regard to the deadline of the stop.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.sampler = LinkSampler(provider.sampler)
    provider.add_span_processor(QueryRedaction())
    return provider


def trace_with(provider: "TracerProvider") -> None:
    """Record the spans of this process with a provider, from now on."""
    from triptych.kit.tracing.recording import RecordingTracer

    use_tracer(RecordingTracer(provider))


async def stop_tracing() -> None:
    """Turn tracing off, and export what is left within the share of the stop (decision 26), `FLUSH_SECONDS` at most."""
    tracer = tracer_in_use()
    if tracer is None:
        return
    use_tracer(None)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        tracer.shutdown()
        with contextlib.suppress(RuntimeError):  # the event loop did not wait
            loop.call_soon_threadsafe(ended.set)

    # A thread of a pool would be waited for when the process ends.
    threading.Thread(target=shut_down, name="last traces", daemon=True).start()
    try:
        async with asyncio.timeout(min(FLUSH_SECONDS, stop_deadline().remaining(TRACES))):
            await ended.wait()
    except TimeoutError:
        log.warning("the last traces were abandoned, to end in time")


def _exporter(name: str) -> "SpanExporter":
    if name == CONSOLE:
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()
