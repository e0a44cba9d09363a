"""Entity tags (RFC 9110, section 8.8.3): of reads, and as the sequence that a write expects.

A tag is `"<sequence>-<hash>"`: the gallery's sequence and a hash of the body. The hash makes it strong, the sequence
is what `If-Match` is compared with. Tags of answers that concern no single gallery are the hash alone.
"""

import re
from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.gateway.answers import JsonAnswer
from services.gateway.errors import bad_header

_EXPECTED = re.compile(r'"([0-9]{1,18})(?:-[0-9a-f]{16})?"')


def answer_read(request: Request, content: Any, sequence: int | None = None) -> Response:
    """The answer to a read: 304 without content if the client has it already."""
    answer = JsonAnswer(content)
    answer.headers["ETag"] = tag = etag_of(answer.body, sequence)
    if is_named(tag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers={"ETag": tag})
    return answer


def etag_of(body: bytes | memoryview, sequence: int | None) -> str:
    """The tag of a body; `sequence` is at most that of the state that it shows."""
    digest = blake2b(body, digest_size=8).hexdigest()
    return f'"{digest}"' if sequence is None else f'"{sequence}-{digest}"'


def is_named(tag: str, condition: str | None) -> bool:
    """Whether an `If-None-Match` names this tag; weak ones count too (RFC 9110, section 13.1.2)."""
    if condition is None:
        return False
    return condition.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in condition.split(","))


def expected_sequence(condition: str | None) -> int | None:
    """The sequence that an `If-Match` asks for; None if any will do.

    Raises:
        Invalid: it is not one of our tags.
    """
    if condition is None or condition.strip() == "*":
        return None
    match = _EXPECTED.fullmatch(condition.strip())
    if match is None:
        raise bad_header("If-Match", 'the ETag of a read of this gallery, "<sequence>" or *')
    return int(match[1])
