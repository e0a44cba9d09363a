"""Decodes the records of commands, in binary and structured mode."""

from base64 import b64decode
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from triptych.contract.base import parse_guid
from triptych.contract.codec.cloudevents import (
    DEFAULT_SITE_ID,
    ID_MAX,
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
from triptych.contract.commands import COMMAND_TYPE_PREFIX, COMMANDS, CommandData
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import Violation
from triptych.contract.topics import is_gateway_topic
from triptych.contract.violations import violations_of

_COMMANDS_BY_TYPE = {COMMAND_TYPE_PREFIX + name: (name, command) for name, command in COMMANDS.items()}


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
