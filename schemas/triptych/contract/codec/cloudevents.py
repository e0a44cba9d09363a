"""Reads and checks the CloudEvents 1.0 attributes of Kafka records, from headers or from a structured body."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from pydantic_core import from_json

from triptych.contract.codec.trace_context import TRACEPARENT, TRACESTATE

SPECVERSION = "1.0"
DEFAULT_SITE_ID = "default"
"""The site of a record that does not name a site (contract, D22)."""

Headers: TypeAlias = Sequence[tuple[str, bytes]]
Attributes: TypeAlias = dict[str, str]
"""CloudEvents attributes by name in lower case, including `datacontenttype` and the trace context."""

_STRUCTURED = "application/cloudevents+json"
_EVENT_FORMATS = "application/cloudevents"
_SITE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
ID_MAX = 255
"""Characters of an id; also the most that texts about refused records quote."""
SOURCE_MAX = 1024
"""Characters of a source."""


PREFIX_BYTES = 64 * 1024
"""The first bytes of a body that is too large, which are searched for its attributes."""


class Reason(StrEnum):
    """Why a record is not a message of the contract."""

    TOMBSTONE = "TOMBSTONE"
    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"
    NOT_A_CLOUDEVENT = "NOT_A_CLOUDEVENT"
    MISSING_ATTRIBUTE = "MISSING_ATTRIBUTE"
    BAD_ATTRIBUTE = "BAD_ATTRIBUTE"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    BAD_DATA = "BAD_DATA"
    TOO_LARGE = "TOO_LARGE"


class CommandOrigin(NamedTuple):
    """The sender of a command and the topic for the reply; None for what was missing or not valid."""

    command_id: str | None
    reply_to: str | None
    correlation_id: str | None
    site_id: str | None
    source: str | None = None


class Undecodable(Exception):
    """A record that is not a command or event; `text` explains why, `origin` names its sender if it is known."""

    def __init__(self, reason: Reason, text: str, origin: CommandOrigin | None = None) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text
        self.origin = origin


def read_headers(headers: Headers) -> Attributes:
    """The attributes in `ce_*` headers, whose names may be in upper or lower case.

    As in a structured body, the last of several headers with the same name counts, a null header is absent, and an
    empty header is present. Raises Undecodable if a header is not UTF-8; its origin is read from the other headers.
    """
    attributes: Attributes = {}
    unreadable = None
    nullable: Sequence[tuple[str, bytes | None]] = (
        headers  # Kafka has null values, although the clients' annotations exclude them
    )
    for header, raw in nullable:
        name = _USUAL_HEADERS.get(header) or _attribute_of(header)
        if name is None:
            continue
        if raw is None:  # the same as a null in a structured body
            attributes.pop(name, None)
            continue
        try:
            attributes[name] = raw.decode()
        except UnicodeDecodeError:
            unreadable = header
    if unreadable is not None:
        raise Undecodable(Reason.NOT_UTF8, f"header {unreadable[:ID_MAX]!r} is not UTF-8", origin_of(attributes))
    return attributes


def _attribute_of(header: str) -> str | None:
    """The name of the attribute that a header with this name has; None if it has none."""
    name = header.lower()
    if name == "ce_datacontenttype":
        return None  # the header content-type has it (Kafka binding of CloudEvents, section 3.2.1)
    if name.startswith("ce_"):
        return name[3:]
    if name == "content-type":
        return "datacontenttype"
    return name if name in (TRACEPARENT, TRACESTATE) else None


# The names that nearly all headers have, in lower case: looking one up takes a fifth of the time of `_attribute_of`.
_USUAL_HEADERS = {
    header: name
    for header in (
        *(f"ce_{name}" for name in ("specversion", "id", "type", "source", "time", "subject", "sequence", "siteid")),
        *(f"ce_{name}" for name in ("correlationid", "causationid", "commandsource", "noticeto", "replyto", "request")),
        "content-type",
        TRACEPARENT,
        TRACESTATE,
    )
    if (name := _attribute_of(header)) is not None
}


def is_structured(attributes: Attributes) -> bool:
    """Whether the whole event is in the body: the content type says so, or there is no attribute in the headers.

    Raises Undecodable for an event format other than JSON.
    """
    content_type = attributes.get("datacontenttype", "")
    if content_type == "application/json":  # as nearly all senders write it
        return False
    media_type = content_type.partition(";")[0].strip().lower()
    if not media_type:
        return "specversion" not in attributes
    if media_type.startswith(_EVENT_FORMATS) and media_type != _STRUCTURED:
        text = f"events are read in the format {_STRUCTURED} alone"
        raise Undecodable(Reason.NOT_A_CLOUDEVENT, text, origin_of(attributes))
    return media_type == _STRUCTURED


def read_prefix(value: bytes, headers: Attributes) -> Attributes:
    """The attributes of a structured body that is too large, from its first `PREFIX_BYTES`.

    If the id is not there, the whole body is read. Raises Undecodable if the body is not a CloudEvent then.
    """
    try:
        body = from_json(value[:PREFIX_BYTES], allow_partial=True)
    except ValueError:  # the prefix ends within a character
        body = None
    if isinstance(body, dict) and "id" in body:
        return {name: member for name, member in body.items() if isinstance(member, str)}
    return read_structured(value, headers)[0]


def read_structured(value: bytes, headers: Attributes) -> tuple[Attributes, Mapping[str, object]]:
    """The attributes in a structured body, and the body. Trace headers are used if the body has no trace context.

    Raises Undecodable if the body is not a CloudEvent in JSON.
    """
    try:
        # orjson silently reads integers beyond 64 bits as floats. The fields of the command refuse NaN, as in binary
        # mode and over HTTP.
        body = from_json(value)
    except ValueError as error:
        raise not_json(value, str(error), origin_of(headers)) from None
    if not isinstance(body, dict) or "specversion" not in body:
        text = "neither ce_ headers nor a JSON object with specversion"
        raise Undecodable(Reason.NOT_A_CLOUDEVENT, text, origin_of(headers))
    attributes = {name: member for name, member in body.items() if isinstance(member, str)}
    if TRACEPARENT not in attributes:
        attributes.pop(TRACESTATE, None)  # it belongs to another trace
        attributes |= {name: headers[name] for name in (TRACEPARENT, TRACESTATE) if name in headers}
    for name in ("specversion", "id", "type", "source", "siteid", "replyto", "correlationid", "request"):
        if body.get(name) is not None and name not in attributes:
            raise Undecodable(Reason.BAD_ATTRIBUTE, f"{name} must be text", origin_of(attributes))
    return attributes, body


def not_json(value: bytes, text: str, origin: CommandOrigin | None = None) -> Undecodable:
    """The error for a value that is not JSON: it distinguishes invalid UTF-8 from invalid JSON."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return Undecodable(Reason.NOT_UTF8, "the value is not UTF-8", origin)
    return Undecodable(Reason.NOT_JSON, text, origin)


def origin_of(attributes: Attributes) -> CommandOrigin:
    """What the attributes say about the sender; an attribute that breaks its rules is None."""
    get = attributes.get
    given_id = get("id")
    command_id = _printable(given_id, ID_MAX)
    correlation_id = get("correlationid", given_id)
    reply_to = get("replyto")
    site_id = get("siteid")
    return CommandOrigin(
        command_id=command_id,
        reply_to=reply_to if reply_to is not None and _TOPIC.fullmatch(reply_to) else None,
        correlation_id=command_id if correlation_id == given_id else _printable(correlation_id, ID_MAX),
        site_id=DEFAULT_SITE_ID if site_id is None else site_id if _SITE_ID.fullmatch(site_id) else None,
        source=_printable(get("source"), SOURCE_MAX),
    )


def check_attributes(attributes: Attributes, origin: CommandOrigin) -> None:
    """Refuse attributes that CloudEvents or the contract (section 11) do not allow.

    Attributes that no command uses are not checked. `source` may be missing, for commands that are typed by hand.
    Raises Undecodable.
    """
    for name in ("specversion", "id", "type"):
        if not attributes.get(name):
            raise Undecodable(Reason.MISSING_ATTRIBUTE, f"{name} is missing", origin)
    if attributes["specversion"] != SPECVERSION:
        raise Undecodable(Reason.BAD_ATTRIBUTE, f"specversion must be {SPECVERSION}", origin)
    if origin.command_id is None:
        raise Undecodable(Reason.BAD_ATTRIBUTE, f"id must be 1 to {ID_MAX} printable characters", origin)
    if origin.correlation_id is None:
        raise Undecodable(Reason.BAD_ATTRIBUTE, f"correlationid must be 1 to {ID_MAX} printable characters", origin)
    if origin.site_id is None:
        raise Undecodable(Reason.BAD_ATTRIBUTE, "siteid must be 1 to 64 letters, digits, _ or -", origin)
    if origin.reply_to is None and "replyto" in attributes:
        raise Undecodable(Reason.BAD_ATTRIBUTE, "replyto must be the name of a topic", origin)
    if origin.source is None and "source" in attributes:
        raise Undecodable(Reason.BAD_ATTRIBUTE, f"source must be 1 to {SOURCE_MAX} printable characters", origin)
    if "request" in attributes and _printable(attributes["request"], ID_MAX) is None:
        raise Undecodable(Reason.BAD_ATTRIBUTE, f"request must be 1 to {ID_MAX} printable characters", origin)


def _printable(text: str | None, most: int) -> str | None:
    """The same text if it has 1 to `most` characters, all printable, else None."""
    return text if text and len(text) <= most and text.isprintable() else None
