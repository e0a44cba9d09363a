"""Gives the publication of a command its span, if tracing is on; the command continues the trace of that span."""

from triptych.contract.codec.envelope import CommandEnvelope
from triptych.kit.tracing.messages import message_attributes
from triptych.kit.tracing.spans import NO_OPERATION, Operation, tracer_in_use


def send_span(topic: str, envelope: CommandEnvelope) -> Operation:
    """The span of publishing a command on `topic`, if the request has a span that is sampled."""
    tracer = tracer_in_use()
    if tracer is None:
        return NO_OPERATION
    found = message_attributes(envelope.command_id, envelope.correlation_id)
    return tracer.send(topic, {**found, "triptych.command.name": envelope.name})


def in_its_span(envelope: CommandEnvelope, span: Operation) -> CommandEnvelope:
    """The same command in the context of the span, if there is one; otherwise in that of the request."""
    if span.context is None:
        return envelope
    traceparent, _ = span.context  # the trace state stays as it came
    return envelope._replace(traceparent=traceparent)
