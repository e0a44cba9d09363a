"""Encodes and decodes the envelope of commands, events and replies: the headers, key and value of Kafka records."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError
from pydantic_core import from_json

from triptych.contract.base import parse_guid
from triptych.contract.codec.cloudevents import (
    DEFAULT_SITE_ID,
    ID_MAX,
    SPECVERSION,
    CommandOrigin,
    Headers,
    Reason,
    Undecodable,
    check_attributes,
    is_structured,
    not_json,
    origin_of,
    read_headers,
    read_structured,
)
from triptych.contract.codec.exact import validate_exactly
from triptych.contract.codec.trace_context import trace_context
from triptych.contract.commands import COMMAND_TYPE_PREFIX, COMMANDS, CommandData, command_name
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import REPLY_TYPE, Reply, Violation
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.contract.topics import is_gateway_topic
from triptych.contract.violations import violations_of

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

_COMMANDS_BY_TYPE = {COMMAND_TYPE_PREFIX + name: (name, command) for name, command in COMMANDS.items()}
_SPECVERSION_HEADER = ("ce_specversion", SPECVERSION.encode())
_JSON_HEADER = ("content-type", b"application/json")


class CommandEnvelope(NamedTuple):
    """A command, its identity, its sender and its trace context.

    Site, source and `command_id` together are the idempotency key; a missing source counts as a source of its own.
    `request` is the sender's name for the request. Commands with different names differ, even if their data is equal.
    """

    command_id: str
    site_id: str
    name: str
    data: CommandData
    reply_to: str | None
    correlation_id: str
    traceparent: str | None
    source: str | None = None
    request: str | None = None
    tracestate: str | None = None

    @property
    def notice_to(self) -> str | None:
        """The topic for notices of the command's events (`contract.codec.notices`); None unless a gateway sent it."""
        return self.reply_to if is_gateway_topic(self.reply_to) else None


class Message(NamedTuple):
    """A record to publish: key, value and headers."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class EventHeaders:
    """The site, the cause and the trace context in the headers of an event."""

    site_id: str
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    command_source: str | None = None
    tracestate: str | None = None


class InvalidCommand(Exception):
    """A command with a valid envelope, whose data breaks the schema."""

    def __init__(self, origin: CommandOrigin, gallery_id: str | None, violations: list[Violation]) -> None:
        super().__init__("; ".join(f"{v.field} {v.description}".strip() for v in violations[:3]))
        self.origin = origin
        self.gallery_id = gallery_id
        self.violations = violations


def decode_command(value: bytes | None, headers: Headers) -> CommandEnvelope:
    """Read a command in binary or structured mode (contract, section 11).

    Raises Undecodable if the record is not a command, and InvalidCommand if only its data is wrong. No bytes raise
    anything else.
    """
    attributes = read_headers(headers)
    if value is None:
        raise Undecodable(Reason.TOMBSTONE, "a command has a value", origin_of(attributes))
    body: Mapping[str, object] | None = None
    if is_structured(attributes):
        attributes, body = read_structured(value, attributes)
    elif "specversion" not in attributes:
        raise Undecodable(Reason.NOT_A_CLOUDEVENT, "ce_specversion is missing", origin_of(attributes))
    origin = origin_of(attributes)
    check_attributes(attributes, origin)
    if (known := _COMMANDS_BY_TYPE.get(attributes["type"])) is None:
        raise Undecodable(Reason.UNKNOWN_TYPE, f"no command has the type {attributes['type'][:ID_MAX]!r}", origin)
    name, kind = known
    data = value if body is None else _data_of(body, origin)
    try:
        if isinstance(data, bytes):
            command = validate_exactly(kind, data)
        else:
            command = validate_exactly(kind, value, member="data", parsed=data)
    except ValidationError as error:
        raise _refusal(error, data, origin) from None
    trace = trace_context(attributes)
    return CommandEnvelope(
        command_id=attributes["id"],
        site_id=attributes.get("siteid", DEFAULT_SITE_ID),
        name=name,
        data=command,
        reply_to=origin.reply_to,
        correlation_id=attributes.get("correlationid", attributes["id"]),
        traceparent=trace.traceparent,
        source=attributes.get("source"),
        request=attributes.get("request"),
        tracestate=trace.tracestate,
    )


def gallery_id_of(envelope: CommandEnvelope) -> str:
    """The id of the gallery that a command is about, which is the key of its record."""
    return envelope.data.gallery_id or derived_gallery_id(envelope.site_id, envelope.command_id, envelope.source)


def encode_command(envelope: CommandEnvelope) -> Message:
    """The record of a command in binary mode; the key is the gallery's id."""
    gallery_id = gallery_id_of(envelope)
    return Message(
        key=gallery_id.encode(),
        value=envelope.data.to_json(),
        headers=_headers(
            ce_id=envelope.command_id,
            ce_type=COMMAND_TYPE_PREFIX + command_name(envelope.data),
            ce_source=envelope.source,
            ce_subject=gallery_id,
            ce_siteid=envelope.site_id,
            ce_request=envelope.request,
            ce_correlationid=envelope.correlation_id,
            ce_replyto=envelope.reply_to,
            traceparent=envelope.traceparent,
            tracestate=envelope.tracestate,
        ),
    )


def encode_event(
    event: Mapping[str, Any],
    *,
    site_id: str,
    correlation_id: str,
    causation_id: str | None,
    traceparent: str | None,
    command_source: str | None = None,
    tracestate: str | None = None,
    notice_to: str | None = None,
) -> Message:
    """The record of an event of `contract.codec.events`; the key is the gallery's id, `causation_id` a command id.

    `notice_to` is the topic on which a gateway waits until the read model shows the event.
    """
    gallery_id: str = event["entityId"]
    return Message(
        key=gallery_id.encode(),
        value=orjson.dumps(event),
        headers=_headers(
            ce_id=event["id"],
            ce_type=event["eventType"],
            ce_source="triptych/command",
            ce_time=event["eventTime"],
            ce_subject=gallery_id,
            ce_sequence=event["entityEventSequence"],
            ce_siteid=site_id,
            ce_correlationid=correlation_id,
            ce_causationid=causation_id,
            ce_commandsource=command_source,
            ce_noticeto=notice_to,
            traceparent=traceparent,
            tracestate=tracestate,
        ),
    )


def encode_snapshot(
    snapshot_record: Mapping[str, Any],
    *,
    site_id: str,
    correlation_id: str,
    causation_id: str | None,
    traceparent: str | None,
    command_source: str | None = None,
    tracestate: str | None = None,
    notice_to: str | None = None,
) -> Message:
    """A record of `triptych.contract.snapshots` for the events topic; the key is the gallery's id.

    `notice_to` is that of `encode_event`.
    """
    gallery_id: str = snapshot_record["galleryId"]
    part = snapshot_record["part"]
    return Message(
        key=gallery_id.encode(),
        value=orjson.dumps(snapshot_record),
        headers=_headers(
            ce_id=f"{snapshot_record['snapshotId']}/{snapshot_record.get('position', part)}",
            ce_type=SNAPSHOT_TYPE_PREFIX + part,
            ce_source="triptych/command",
            ce_subject=gallery_id,
            ce_sequence=str(snapshot_record["sequence"]),
            ce_siteid=site_id,
            ce_correlationid=correlation_id,
            ce_causationid=causation_id,
            ce_commandsource=command_source,
            ce_noticeto=notice_to,
            traceparent=traceparent,
            tracestate=tracestate,
        ),
    )


def encode_reply(reply: Reply, *, correlation_id: str, site_id: str) -> Message:
    """The record of a reply; the replies to a repeated command have the same id."""
    return Message(
        key=correlation_id.encode(),
        value=reply.to_json(),
        headers=_headers(
            ce_id=reply.command_id,
            ce_type=REPLY_TYPE,
            ce_source="triptych/command",
            ce_subject=reply.gallery_id,
            ce_siteid=site_id,
            ce_correlationid=correlation_id,
            ce_causationid=reply.command_id,
        ),
    )


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


def _headers(**attributes: str | None) -> tuple[tuple[str, bytes], ...]:
    present = [(name, value.encode()) for name, value in attributes.items() if value is not None]
    return (_SPECVERSION_HEADER, *present, _JSON_HEADER)


def _data_of(body: Mapping[str, object], origin: CommandOrigin) -> object:
    """The data of a structured event: JSON as it is, or bytes from base64."""
    if "data_base64" not in body:
        return body.get("data")
    encoded = body["data_base64"]
    try:
        return b64decode(encoded, validate=True) if isinstance(encoded, str) else None
    except ValueError:
        raise Undecodable(Reason.BAD_DATA, "data_base64 is not base64", origin) from None


def _refusal(error: ValidationError, data: object, origin: CommandOrigin) -> Undecodable | InvalidCommand:
    if error.error_count() == 1:
        detail = error.errors(include_url=False)[0]
        if detail["type"] == "json_invalid" and isinstance(data, bytes):
            return not_json(data, detail["ctx"]["error"], origin)
        if detail["type"] in ("model_type", "model_attributes_type") and not detail["loc"]:
            return Undecodable(Reason.BAD_DATA, "the data must be a JSON object", origin)
    return InvalidCommand(origin, _gallery_id_in(data), violations_of(error))


def _gallery_id_in(data: object) -> str | None:
    """The gallery id in refused data, by which the sender can see which of its commands failed."""
    try:
        parsed = from_json(data) if isinstance(data, bytes) else data
        return parse_guid(parsed["galleryId"]) if isinstance(parsed, dict) else None
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
