"""Entity tags (RFC 9110, section 8.8.3): makes those of reads, and reads the conditions of requests.

A tag is `"<sequence>-<hash>"`: the gallery's sequence and a hash of the body. The hash makes the tag strong. `If-Match`
is compared with the sequence. The tag of a response that is not about a single gallery is the hash alone.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from triptych.contract.commands import EXPECTED_MAX
from triptych.gateway.http.budget import shrink_reservation
from triptych.gateway.http.errors import ApplicationFailure, bad_header
from triptych.gateway.http.responses import JsonAnswer

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_BETWEEN = re.compile(r"[ \t]*,[ \t,]*")
_SEQUENCE = re.compile(r"(0|[1-9][0-9]{0,18})(?:-[0-9a-f]{16})?")
_SEQUENCE_MAX = 2**63 - 1
_ANY = "*"


class Tag(NamedTuple):
    """An entity tag without its quotes."""

    opaque: str
    is_weak: bool


def answer_read(request: Request, content: Any, sequence: int | None = None) -> Response:
    """The response to a read: 304 without content if the client has the current content already."""
    answer = JsonAnswer(content)
    shrink_reservation(request, len(answer.body))
    answer.headers["ETag"] = tag = etag_of(answer.body, sequence)
    if is_named(tag, request.headers.getlist("if-none-match")):
        return Response(status_code=304, headers={"ETag": tag})
    return answer


def etag_of(body: bytes | memoryview, sequence: int | None) -> str:
    """The tag of a body; `sequence` must not be later than the state in the body."""
    digest = blake2b(body, digest_size=8).hexdigest()
    return f'"{digest}"' if sequence is None else f'"{sequence}-{digest}"'


def is_named(tag: str, lines: Iterable[str]) -> bool:
    """Whether the `If-None-Match` lines of a request name this tag; weak tags count too (RFC 9110, section 13.1.2).

    A header that is not a list of tags names no tag.
    """
    condition = _joined(lines)
    if not condition:
        return False
    if condition == _ANY:
        return True
    named = _tags(condition) or ()
    return any(f'"{candidate.opaque}"' == tag for candidate in named)


def expected_sequences(lines: Iterable[str], unless: Iterable[str] = ()) -> tuple[int, ...] | None:
    """The sequences that a write accepts; None if it accepts any, and an empty tuple if it accepts none.

    The comparison is strong: a weak tag, or a tag that is not of a gallery, matches no sequence (RFC 9110, 8.8.3.2,
    13.1.1).

    Args:
        lines: the `If-Match` of the request.
        unless: its `If-None-Match`. A write may only have `*` there, which forbids it to change something that exists.

    Raises:
        InvalidRequest: a header is not a list of tags, or names more states than a command can.
    """
    forbidden, condition = _joined(unless), _joined(lines)
    if forbidden is not None and forbidden != _ANY:
        raise bad_header("If-None-Match", "absent from writes, or *")
    if condition is None or condition == _ANY:
        return None if forbidden is None else ()
    tags = _tags(condition)
    if tags is None:
        raise bad_header("If-Match", "a list of entity tags, such as those of reads of this gallery, or *")
    found = (_SEQUENCE.fullmatch(tag.opaque) for tag in tags if not tag.is_weak)
    sequences = dict.fromkeys(int(match[1]) for match in found if match)
    possible = tuple(sequence for sequence in sequences if sequence <= _SEQUENCE_MAX)
    if len(possible) > EXPECTED_MAX:
        raise bad_header("If-Match", f"a list of at most {EXPECTED_MAX} states")
    return possible if forbidden is None else ()


def refuse_conditions(request: Request) -> None:
    """Refuse a conditional write to a resource that has no entity tag.

    Raises:
        ApplicationFailure: 412, since no tag can match.
        InvalidRequest: a header is not a list of tags.
    """
    headers = request.headers
    if expected_sequences(headers.getlist("if-match"), headers.getlist("if-none-match")) is not None:
        raise ApplicationFailure(412, "FAILED_PRECONDITION", "nothing here has an entity tag that could match")


def _joined(lines: Iterable[str]) -> str | None:
    """The value of a header from all its lines (RFC 9110, section 5.3); None if there are no lines."""
    given = list(lines)
    return ", ".join(given).strip(" \t") if given else None


def _tags(condition: str) -> list[Tag] | None:
    """The tags of a list, or None if the text is not a list; empty elements are ignored (RFC 9110, section 5.6.1)."""
    tags: list[Tag] = []
    text = condition.strip(" \t,")
    position = 0
    while match := _TAG.match(text, position):
        tags.append(Tag(match[2], match[1] is not None))
        if match.end() == len(text):
            return tags
        between = _BETWEEN.match(text, match.end())
        if between is None:
            return None
        position = between.end()
    return None
