"""The envelope of commands, events and replies: the headers, key and value of Kafka records."""

from dataclasses import dataclass

from triptych.contract.codec.cloudevents import (
    DEFAULT_SITE_ID,
    CommandOrigin,
    Headers,
    Reason,
    Undecodable,
    origin_of,
    read_headers,
)
from triptych.contract.codec.command_records import CommandEnvelope, InvalidCommand, decode_command, gallery_id_of
from triptych.contract.codec.encoding import Message, encode_command, encode_event, encode_reply, encode_snapshot
from triptych.contract.codec.trace_context import trace_context

__all__ = [
    "DEFAULT_SITE_ID",
    "CommandEnvelope",
    "CommandOrigin",
    "EventHeaders",
    "Headers",
    "InvalidCommand",
    "Message",
    "Reason",
    "Undecodable",
    "decode_command",
    "encode_command",
    "encode_event",
    "encode_reply",
    "encode_snapshot",
    "event_headers",
    "gallery_id_of",
]


@dataclass(frozen=True, slots=True)
class EventHeaders:
    """The site, the cause and the trace context in the headers of an event."""

    site_id: str
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    command_source: str | None = None
    tracestate: str | None = None


def event_headers(headers: Headers) -> EventHeaders:
    """The site, correlation id, causation id, command source and trace context of an event.

    Raises Undecodable if a header is not UTF-8 or the site is not well-formed.
    """
    attributes = read_headers(headers)
    origin = origin_of(attributes)
    if origin.site_id is None:
        raise Undecodable(Reason.BAD_ATTRIBUTE, "siteid must be 1 to 64 letters, digits, _ or -")
    trace = trace_context(attributes)
    return EventHeaders(
        site_id=origin.site_id,
        correlation_id=attributes.get("correlationid"),
        causation_id=attributes.get("causationid"),
        traceparent=trace.traceparent,
        command_source=attributes.get("commandsource"),
        tracestate=trace.tracestate,
    )
