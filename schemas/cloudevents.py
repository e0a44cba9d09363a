"""CloudEvents 1.0 attributes as Kafka records carry them: found in headers or in a structured body, and checked."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from pydantic_core import from_json

SPECVERSION = "1.0"
DEFAULT_SITE_ID = "default"
"""The site of a record that names none (wire contract, D22)."""

Headers: TypeAlias = Sequence[tuple[str, bytes]]
Attributes: TypeAlias = dict[str, str]
"""CloudEvents attributes by their names in lower case, with `datacontenttype` and `traceparent` beside them."""

_STRUCTURED = "application/cloudevents+json"
_SITE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_BEGINNING_BYTES = 64 * 1024
ID_MAX = 255
"""Characters of an id; texts about refused records quote no more than this either."""


class Reason(StrEnum):
    """Why a record is not a message of ours."""

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
    """Who sent a command and where to answer, as far as it was readable."""

    command_id: str | None
    reply_to: str | None
    correlation_id: str | None
    site_id: str | None


class Undecodable(Exception):
    """A record that is no command or event; `text` explains it, `origin` is there if its sender can be told."""

    def __init__(self, reason: Reason, text: str, origin: CommandOrigin | None = None) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text
        self.origin = origin


def read_headers(headers: Headers) -> Attributes:
    """The attributes in `ce_*` headers; header names count in any case.

    Raises Undecodable if one of them is not UTF-8; its origin is read from the others.
    """
    attributes: Attributes = {}
    unreadable = None
    for header, raw in headers:
        name = header.lower()
        if name.startswith("ce_"):
            name = name[3:]
        elif name == "content-type":
            name = "datacontenttype"
        elif name != "traceparent":
            continue
        if not raw:  # empty, or null, which Kafka knows whatever clients annotate
            continue
        try:
            attributes[name] = raw.decode()
        except UnicodeDecodeError:
            unreadable = header
    if unreadable is not None:
        raise Undecodable(Reason.NOT_UTF8, f"header {unreadable[:ID_MAX]!r} is not UTF-8", origin_of(attributes))
    return attributes


def is_structured(attributes: Attributes) -> bool:
    """Whether the whole event is in the body: by its content type, or because no header says anything."""
    content_type = attributes.get("datacontenttype")
    if content_type is None:
        return "specversion" not in attributes
    return content_type.lower().startswith(_STRUCTURED)


def read_structured(value: bytes, headers: Attributes) -> tuple[Attributes, Mapping[str, object]]:
    """The attributes in a structured body, and the body; a `traceparent` header counts if the body has none.

    Raises Undecodable if the body is not a CloudEvent in JSON.
    """
    try:
        # Not orjson: it reads integers beyond 64 bits as floats, silently.
        body = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise not_json(value, str(error), origin_of(headers)) from None
    if not isinstance(body, dict) or "specversion" not in body:
        text = "neither ce_ headers nor a JSON object with specversion"
        raise Undecodable(Reason.NOT_A_CLOUDEVENT, text, origin_of(headers))
    attributes = {name: part for name, part in body.items() if isinstance(part, str)}
    if "traceparent" in headers:
        attributes.setdefault("traceparent", headers["traceparent"])
    for name in ("specversion", "id", "type", "siteid", "replyto", "correlationid"):
        if body.get(name) is not None and name not in attributes:
            raise Undecodable(Reason.BAD_ATTRIBUTE, f"{name} must be text", origin_of(attributes))
    return attributes, body


def origin_in(value: bytes, headers: Attributes) -> CommandOrigin:
    """Who sent a structured event, from its beginning: its data, which comes last as a rule, is not looked at."""
    try:
        body = from_json(value[:_BEGINNING_BYTES], allow_inf_nan=False, allow_partial=True)
    except ValueError:
        return origin_of(headers)
    if not isinstance(body, dict):
        return origin_of(headers)
    return origin_of({name: part for name, part in body.items() if isinstance(part, str)})


def not_json(value: bytes, text: str, origin: CommandOrigin | None = None) -> Undecodable:
    """The error for a value that no JSON parser takes: it tells wrong bytes from wrong JSON."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return Undecodable(Reason.NOT_UTF8, "the value is not UTF-8", origin)
    return Undecodable(Reason.NOT_JSON, text, origin)


def origin_of(attributes: Attributes) -> CommandOrigin:
    """What the attributes say about the sender; parts that break their rules are None."""
    command_id = attributes.get("id")
    correlation_id = attributes.get("correlationid", command_id)
    reply_to = attributes.get("replyto")
    site_id = attributes.get("siteid", DEFAULT_SITE_ID)
    return CommandOrigin(
        command_id=command_id if command_id is not None and _is_id(command_id) else None,
        reply_to=reply_to if reply_to is not None and _TOPIC.fullmatch(reply_to) else None,
        correlation_id=correlation_id if correlation_id is not None and _is_id(correlation_id) else None,
        site_id=site_id if _SITE_ID.fullmatch(site_id) else None,
    )


def check_attributes(attributes: Attributes, origin: CommandOrigin) -> None:
    """Refuse attributes that CloudEvents or the design (section 3) do not allow.

    A missing `source` is forgiven, for the sake of commands typed by hand. Raises Undecodable.
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


def traceparent_of(attributes: Attributes) -> str | None:
    """The trace context; one that breaks the W3C form is ignored, as that recommendation asks."""
    traceparent = attributes.get("traceparent")
    return traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= ID_MAX and text.isprintable()
