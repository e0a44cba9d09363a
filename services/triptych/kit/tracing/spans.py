"""Gives the services their spans, and null objects while tracing is off. It does not import OpenTelemetry.

While tracing is off, a batch costs one question for the tracer, which is None, and the empty methods of `NO_SPANS`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias

from starlette.types import Scope

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

Context: TypeAlias = tuple[str | None, str | None]
"""A valid traceparent and tracestate of W3C Trace Context."""
Attributes: TypeAlias = Mapping[str, str | int]


class Source(NamedTuple):
    """A record of a batch whose sender has sampled its trace, and the attributes of the record's span."""

    context: Context
    attributes: Attributes


RECORDS_MAX = 256
"""The most records of one batch that have spans: making them takes processor time while the batch waits."""


class BatchSpans:
    """The spans of one batch: one for the batch, and one for each record whose trace is sampled. Here there are none.

    As a context manager, it makes the span of the batch the current one, and ends all spans with the block.
    """

    contexts: Mapping[int, Context] = {}
    """The context of the span of each record that has one, by the record's index in the batch."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the spans; `error` fails them."""

    def note(self, index: int, attributes: Attributes) -> None:
        """Add attributes to the span of a record that has one."""

    def fail(self, index: int, error_type: str) -> None:
        """Mark the span of a record that has one as failed."""

    def sending(self, topic: str, count: int, senders: Sequence[int]) -> AbstractContextManager[object]:  # noqa: ARG002
        """A span for the block, which publishes `count` records; it appears in the trace of each sender too.

        Args:
            topic: the destination.
            count: the number of records to publish; there is no span if it is 0.
            senders: the indexes of the records in whose traces the publication appears.
        """
        return self


class Operation:
    """The span of one operation, which is the current one within the block. Here there is none."""

    context: Context | None = None
    """The context of the span, to be passed on; None if there is no span."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the span; `error` fails it."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""

    def fail(self, error_type: str) -> None:
        """Mark the span as failed."""


NO_SPANS = BatchSpans()
NO_OPERATION = Operation()
NO_REQUESTS: "TelemetryConfig" = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""The telemetry of a FastAPI application that records nothing, whatever the environment says."""


class Tracer(Protocol):
    """Makes spans. No method raises anything."""

    def batch(self, topic: str, count: int, sources: Mapping[int, Source]) -> BatchSpans:
        """The spans of a batch of `count` records; `sources` are up to `RECORDS_MAX` sampled ones, by index."""

    def send(self, topic: str, attributes: Attributes) -> Operation:
        """The span of publishing one record, if the current span is recorded."""

    def step(self, name: str, parent: Context, attributes: Attributes) -> Operation:
        """The span of internal work that belongs to the trace of `parent`."""

    def post(self, name: str, parent: Context, attributes: Attributes) -> Operation:
        """The span of a request to another server, in the trace of `parent`."""

    def mongo_listeners(self) -> list[Any]:
        """Listeners for a MongoDB client that record its commands within the spans of other work."""

    def requests(self, is_untraced: Callable[[Scope], bool]) -> "TelemetryConfig":
        """The telemetry of a FastAPI application that records its requests, except those that are untraced."""

    def note_request(self, request_id: str) -> None:
        """Add the id of a request to the current span."""

    def shutdown(self) -> None:
        """Export what is left, and stop. It blocks the thread that calls it."""


_tracer: Tracer | None = None


def tracer_in_use() -> Tracer | None:
    """The tracer of this process; None while tracing is off."""
    return _tracer


def request_telemetry(is_untraced: Callable[[Scope], bool]) -> "TelemetryConfig":
    """The `telemetry` of a FastAPI application. While tracing is on, its requests have spans unless `is_untraced`."""
    return NO_REQUESTS if _tracer is None else _tracer.requests(is_untraced)


def use_tracer(tracer: Tracer | None) -> None:
    """Turn tracing on with this tracer, or off with None."""
    global _tracer
    _tracer = tracer
