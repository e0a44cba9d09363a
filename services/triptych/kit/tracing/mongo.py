"""Records MongoDB commands with the instrumentation of PyMongo. Imported only when tracing is on."""

from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.pymongo import CommandTracer
from opentelemetry.trace import Span, Status, StatusCode


class MongoSpans(CommandTracer):
    """A listener of a MongoDB client. A command has a span only within the span of the work that needs it.

    Otherwise each command of a loop in the background would start a trace of its own.
    """

    def __init__(self, provider: trace.TracerProvider) -> None:
        super().__init__(provider.get_tracer("opentelemetry.instrumentation.pymongo"), failed_hook=_forget_message)

    def started(self, event: Any) -> None:
        """See `pymongo.monitoring.CommandListener`."""
        if trace.get_current_span().is_recording():
            super().started(event)


def _forget_message(span: Span, _event: Any) -> None:
    """Replace the message of the server, which may quote documents."""
    span.set_status(Status(StatusCode.ERROR))
