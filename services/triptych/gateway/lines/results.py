"""Renders the result of each line, and the last line of a response, without I/O."""

import re
from typing import Any, NamedTuple

import orjson

from triptych.contract.replies import Reply
from triptych.gateway.http.errors import HttpFailure, InvalidRequest
from triptych.gateway.lines.chunking import Chunk
from triptych.gateway.writing.read_your_writes import Position
from triptych.gateway.writing.rejections import failure_of, key_reused

UNAVAILABLE = "UNAVAILABLE"
REPEAT = "the outcome is not known: repeat the request with the same Idempotency-Key"
UNKNOWN: dict[str, Any] = {"code": UNAVAILABLE, "description": REPEAT, "data": {}}
_COMMAND_FIELD = re.compile(r"^items\[\d+\]")


class Outcome(NamedTuple):
    """What happened to a line: the id of its item, or why there is none."""

    item_id: str | None
    failure: HttpFailure | None


class Ending(NamedTuple):
    """Why a response ends before the end of its request, as an `applicationError`."""

    error: dict[str, Any]


def outcomes_of(line_numbers: list[int], reply: Reply | HttpFailure) -> dict[int, Outcome]:
    """The outcome of each line of a command, by its line."""
    if isinstance(reply, HttpFailure):
        return dict.fromkeys(line_numbers, Outcome(None, reply))
    if reply.error is not None:
        failure = failure_of(reply.error, lambda path: _COMMAND_FIELD.sub("item", path))
        return dict.fromkeys(line_numbers, Outcome(None, failure))
    if len(reply.item_ids or ()) != len(line_numbers):
        return dict.fromkeys(line_numbers, Outcome(None, key_reused()))
    return {number: Outcome(item_id, None) for number, item_id in zip(line_numbers, reply.item_ids or (), strict=True)}


def render(chunk: Chunk, outcomes: dict[int, Outcome]) -> tuple[bytes, int]:
    """The results of a chunk as lines, in the order of the request, and how many of them are successes."""
    rendered, successes = bytearray(), 0
    for number, item in chunk.lines:
        outcome = Outcome(None, item) if isinstance(item, InvalidRequest) else outcomes[number]
        successes += outcome.failure is None
        rendered += _line(number, outcome)
    return bytes(rendered), successes


def _line(number: int, outcome: Outcome) -> bytes:
    failure = outcome.failure
    if failure is None:
        return b'{"line":%d,"status":200,"id":"%b"}\n' % (number, (outcome.item_id or "").encode())
    body = failure.body()
    if failure.status >= 500:  # its body says nothing, and a line has no headers that do
        body = {"message": REPEAT, "details": {"applicationError": UNKNOWN}}
    return orjson.dumps({"line": number, "status": failure.status, **body}) + b"\n"


def render_end(
    successes: int, failures: int, position: Position | None, *, is_shown: bool, ending: Ending | None
) -> bytes:
    """The last line of a response: without it, the response was cut off."""
    content: dict[str, Any] = {
        "bulkActionMetadata": {"totalSuccesses": successes, "totalFailures": failures},
        "isComplete": ending is None,
        "isShown": is_shown,
    }
    if position is not None:
        content["position"] = str(position)
    if ending is not None:
        content["error"] = ending.error
    return orjson.dumps(content) + b"\n"
