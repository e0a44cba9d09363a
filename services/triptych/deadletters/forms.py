"""The JSON form of dead letters, for the command line and for HTTP. Bytes that are not UTF-8 are in base64."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from triptych.contract.base import format_instant
from triptych.deadletters.administration import Result
from triptych.deadletters.scan import Entry

KEY_SHOWN, VALUE_SHOWN, HEADER_SHOWN, HEADERS_SHOWN = 1_024, 64 * 1024, 4 * 1024, 200
"""How many bytes of a key, a value and a header are shown, and how many headers."""
TEXT_SHOWN = 1_000


def entry_form(entry: Entry, topic: str) -> dict[str, Any]:
    """A dead letter in a list. `topic` is the one on which the record was refused."""
    letter, subject, mark = entry.letter, entry.subject, entry.mark
    return {
        "id": str(letter.position),
        "state": entry.state.value,
        "topic": topic,
        "partition": letter.position.partition,
        "date": format_instant(letter.date),
        "reason": _clean(letter.reason),
        "error": _clean(letter.error),
        "origin": None if letter.origin is None else str(letter.origin),
        "offsets": None if letter.offsets is None else _clean(letter.offsets),
        "attempts": letter.attempts,
        "siteId": _clean_or_none(subject.site_id),
        "galleryId": subject.gallery_id,
        "messageId": _clean_or_none(subject.message_id),
        "type": _clean_or_none(subject.type),
        "source": _clean_or_none(subject.source),
        "bytes": entry.bytes,
        "parts": letter.pieces,
        "replays": letter.replays,
        "replayOf": None if letter.replay is None else str(letter.replay.letter),
        "problem": None if letter.problem is None else letter.problem.value,
        "actions": [
            {"state": action.state.value, "date": format_instant(action.at), "by": action.by, "to": action.to}
            for action in (mark.actions if mark is not None else ())
        ],
    }


def full_form(entry: Entry, topic: str) -> dict[str, Any]:
    """A dead letter with the beginning of its record's content."""
    letter = entry.letter
    return {
        **entry_form(entry, topic),
        "key": None if letter.key is None else content_form(letter.key, KEY_SHOWN),
        "headers": [header_form(name, value) for name, value in letter.headers[:HEADERS_SHOWN]],
        "headerCount": len(letter.headers),
        "value": None if letter.value is None else content_form(letter.value, VALUE_SHOWN),
    }


def result_form(result: Result) -> dict[str, Any]:
    """What happened to a dead letter."""
    refusal = None if result.refusal is None else result.refusal.value
    return {"id": str(result.position), "to": result.to, "refusal": refusal}


def header_form(name: str, value: bytes | None) -> dict[str, Any]:
    """A header; a name that is not UTF-8 is shown with replaced bytes."""
    return {
        "name": _clean(name),
        "value": None if value is None else content_form(value, HEADER_SHOWN),
    }


def content_form(content: bytes, limit: int) -> Mapping[str, Any]:
    """The first `limit` bytes, as `text` if all of the content is UTF-8, otherwise as `base64`."""
    shown = {"bytes": len(content), "isTruncated": len(content) > limit, "text": None, "base64": None}
    try:
        content.decode()
    except UnicodeDecodeError:
        return {**shown, "base64": b64encode(content[:limit]).decode()}
    return {**shown, "text": content[:limit].decode(errors="ignore")}


def _clean(text: str) -> str:
    """The text as any JSON writer accepts it: bytes that are not UTF-8 are surrogates in it."""
    return text[:TEXT_SHOWN].encode(errors="replace").decode()


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else _clean(text)
