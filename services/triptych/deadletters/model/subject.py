"""Reads what a refused record is about, as far as it can be read: site, gallery, id, type and source."""

from typing import NamedTuple

from pydantic_core import from_json

from triptych.contract.base import parse_guid
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID, Attributes, Undecodable, is_structured
from triptych.kit.kafka.publishing.letter_headers import Headers

SCANNED_BYTES = 16 * 1024
"""How much of a structured command is searched for its attributes, from its beginning."""
TEXT_MAX = 255


class Subject(NamedTuple):
    """What a record says about itself. Nobody has checked it: a refused record may say anything."""

    site_id: str | None = None
    gallery_id: str | None = None
    message_id: str | None = None
    type: str | None = None
    source: str | None = None


def subject_of(key: bytes | None, value: bytes | None, headers: Headers) -> Subject:
    """The subject of a command or an event. The site is unknown unless the record has at least an id or a type."""
    attributes = _in_headers(headers)
    data: object = None
    try:
        structured = is_structured(attributes)
    except Undecodable:
        structured = False
    if structured:
        attributes, data = _in_body(value)
    is_known = "id" in attributes or "type" in attributes
    named = data.get("galleryId") if isinstance(data, dict) else attributes.get("subject")
    return Subject(
        site_id=attributes.get("siteid", DEFAULT_SITE_ID) if is_known else None,
        gallery_id=_guid(named) or _guid((key or b"")[:64].decode(errors="replace")),
        message_id=attributes.get("id"),
        type=attributes.get("type"),
        source=attributes.get("source"),
    )


def _in_headers(headers: Headers) -> Attributes:
    found: Attributes = {}
    for header, raw in headers:
        lowered = header.lower()
        name = "datacontenttype" if lowered == "content-type" else lowered.removeprefix("ce_")
        if raw is not None and name != lowered and lowered != "ce_datacontenttype":
            found[name] = raw[: 4 * TEXT_MAX].decode(errors="replace")[:TEXT_MAX]
    return found


def _in_body(value: bytes | None) -> tuple[Attributes, object]:
    try:
        body = from_json((value or b"")[:SCANNED_BYTES], allow_partial=True)
    except ValueError:
        return {}, None
    if not isinstance(body, dict):
        return {}, None
    return {name: text[:TEXT_MAX] for name, text in body.items() if isinstance(text, str)}, body.get("data")


def _guid(text: object) -> str | None:
    try:
        return parse_guid(text) if isinstance(text, str) else None
    except ValueError:
        return None
