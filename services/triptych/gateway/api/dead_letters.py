"""Endpoints that list, show, replay and drop dead letters, for operators."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.openapi.models import Example
from starlette.responses import Response

from triptych.contract.topics import Topics
from triptych.deadletters.administration import OpenDeadLetters, Permission, Result
from triptych.deadletters.forms import entry_form, full_form, result_form
from triptych.deadletters.scan import Entry, ScanBudget
from triptych.gateway.access.keys import Scope
from triptych.gateway.api.dead_letter_access import LetterAccess
from triptych.gateway.api.dead_letter_cursors import CURSOR_EXAMPLE, read_step, write_step
from triptych.gateway.api.dead_letter_models import (
    DeadLetterAnswer,
    DeadLettersAnswer,
    DropLettersBody,
    LetterResultAnswer,
    LettersQuery,
    LettersStepAnswer,
    ReplayLetterBody,
    ReplayLettersBody,
)
from triptych.gateway.api.dependencies import Gateway, operator_admitted
from triptych.gateway.api.openapi import json_body
from triptych.gateway.http.bodies import parse_body, read_body
from triptych.gateway.http.budget import budget_of
from triptych.gateway.http.errors import ApplicationFailure, not_found
from triptych.gateway.http.etags import refuse_conditions
from triptych.gateway.http.responses import BytesAnswer, JsonAnswer
from triptych.gateway.http.strictness import refuse_unknown
from triptych.kit.kafka.positions import Position, parse_position
from triptych.kit.process.clock import utc_now

router = APIRouter(prefix="/v1", tags=["dead-letters"])

STEP_BUDGET = ScanBudget(records=5_000, seconds=3.0)
"""How much of the topics one request reads."""
VALUE_MAX = 16 * 1024 * 1024
"""Bytes of the largest value that is sent. The command line shows larger ones."""
BODIES = (ReplayLetterBody, ReplayLettersBody, DropLettersBody)

LetterId: TypeAlias = Annotated[
    str, Path(alias="deadLetterId", max_length=300, openapi_examples={"demo": Example(value=CURSOR_EXAMPLE)})
]


class Operator:
    """An operator, by the source of the operator's key, with access to dead letters."""

    def __init__(self, source: str, access: LetterAccess, topics: Topics) -> None:
        self.source = source
        self.topics = topics
        self._access = access

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[OpenDeadLetters]:
        """Read dead letters. Raises HttpFailure (503) if Kafka is away or too many others read."""
        async with self._access.open() as opened:
            yield opened


async def _operator(request: Request, gateway: Gateway) -> Operator:
    source = await operator_admitted(request, Scope.DEAD_LETTERS)
    if request.method != "GET":
        refuse_conditions(request)
    return Operator(source, request.app.state.dead_letters, Topics(gateway.settings.topic_prefix))


Admin: TypeAlias = Annotated[Operator, Depends(_operator)]
"""An operator. Dead letters belong to no site, so a key of a site is refused."""


@router.get("/dead-letters", response_model=DeadLettersAnswer)
async def list_dead_letters(admin: Admin, query: Annotated[LettersQuery, Query()]) -> Response:
    """Dead letters by topic and partition, oldest first. Repeat with the `cursor` of the response until it has none."""
    selection = query.selection(admin.topics)
    found: list[Entry] = []
    async with admin.reading() as letters:
        scan = letters.scan(selection, budget=STEP_BUDGET)
        after = None if query.cursor is None else parse_position(query.cursor)
        async with aclosing(scan.chunks(letters.topics_of(selection), after)) as chunks:
            async for chunk in chunks:
                found += chunk
                if len(found) >= query.limit:
                    break
        forms = [entry_form(entry, letters.origin_topic(entry)) for entry in found[: query.limit]]
    if len(found) >= query.limit:
        last: Position | None = found[query.limit - 1].letter.position
    else:
        last = None if scan.is_complete else scan.last
    return JsonAnswer({"deadLetters": forms, "cursor": None if last is None else str(last)})


@router.get("/dead-letters/{deadLetterId}", response_model=DeadLetterAnswer)
async def get_dead_letter(admin: Admin, letter_id: LetterId) -> Response:
    """One dead letter with the content of its record."""
    async with admin.reading() as letters:
        entry = await _entry(letters, letter_id)
        form = full_form(entry, letters.origin_topic(entry))
    return JsonAnswer({"deadLetter": form})


@router.get("/dead-letters/{deadLetterId}/value", response_class=Response, responses=BytesAnswer.DESCRIBED)
async def download_dead_letter(admin: Admin, gateway: Gateway, letter_id: LetterId, request: Request) -> Response:
    """The bytes of the record's value, as they were received. A record without a value is not found."""
    async with admin.reading() as letters:
        letter = (await _entry(letters, letter_id)).letter
    if letter.value is None:
        raise not_found("value", deadLetterId=letter_id)
    if len(letter.value) > VALUE_MAX:
        raise ApplicationFailure(409, "FAILED_PRECONDITION", f"the value has more than {VALUE_MAX} bytes")
    room = await budget_of(request, gateway.budget, "")
    room.large_bytes = len(letter.value)
    await room.enlarge()
    return BytesAnswer(letter.value)


@router.post(
    "/dead-letters/replay-matching",
    response_model=LettersStepAnswer,
    openapi_extra=json_body(ReplayLettersBody, {"topic": "commands", "reason": "handler-failed", "dryRun": True}),
)
async def replay_matching_dead_letters(admin: Admin, gateway: Gateway, request: Request) -> Response:
    """Send the records of dead letters again, some at a time: repeat with the cursor of the response."""
    refuse_unknown(request)
    body = parse_body(ReplayLettersBody, await read_body(request, gateway.settings.gateway_body_limit))
    permission = Permission(again=body.again, old=body.old, dry_run=body.dry_run)
    return await _step(admin, body, lambda letters, found: letters.replay(found, admin.source, permission))


@router.post(
    "/dead-letters/drop-matching",
    response_model=LettersStepAnswer,
    openapi_extra=json_body(DropLettersBody, {"topic": "commands", "reason": "NOT_JSON", "dryRun": True}),
)
async def drop_matching_dead_letters(admin: Admin, gateway: Gateway, request: Request) -> Response:
    """Record that nothing will be done about dead letters, some at a time: repeat with the cursor of the response."""
    refuse_unknown(request)
    body = parse_body(DropLettersBody, await read_body(request, gateway.settings.gateway_body_limit))
    return await _step(
        admin, body, lambda letters, found: letters.drop(found, admin.source, dry_run=body.dry_run), with_content=False
    )


@router.post(
    "/dead-letters/{deadLetterId}/replay",
    response_model=LetterResultAnswer,
    openapi_extra=json_body(ReplayLetterBody, {}, required=False),
)
async def replay_dead_letter(admin: Admin, gateway: Gateway, letter_id: LetterId, request: Request) -> Response:
    """Send the record of one dead letter again, with its bytes, key and headers."""
    refuse_unknown(request)
    raw = await read_body(request, gateway.settings.gateway_body_limit)
    body = parse_body(ReplayLetterBody, raw or bytearray(b"{}"))
    permission = Permission(again=body.again, old=body.old, dry_run=body.dry_run)
    async with admin.reading() as letters:
        (result,) = await letters.replay([await _entry(letters, letter_id)], admin.source, permission)
    return _result(result)


@router.post("/dead-letters/{deadLetterId}/drop", response_model=LetterResultAnswer)
async def drop_dead_letter(admin: Admin, letter_id: LetterId, request: Request) -> Response:
    """Record that nothing will be done about one dead letter. It stays on its topic until it expires."""
    refuse_unknown(request)
    async with admin.reading() as letters:
        (result,) = await letters.drop([await _entry(letters, letter_id)], admin.source)
    return _result(result)


async def _step(
    admin: Operator,
    body: DropLettersBody,
    handle: Callable[[OpenDeadLetters, Sequence[Entry]], Awaitable[list[Result]]],
    *,
    with_content: bool = True,
) -> Response:
    """Handle the next dead letters that are meant. The first step decides up to which moment."""
    step = None if body.cursor is None else read_step(body.cursor)
    until = step.until if step is not None else utc_now()
    selection = body.selection(admin.topics)
    selection = replace(selection, until=until if selection.until is None else min(until, selection.until))
    results: list[Result] = []
    async with admin.reading() as letters:
        scan = letters.scan(selection, with_content=with_content, budget=STEP_BUDGET)
        after = None if step is None else step.after
        async with aclosing(scan.chunks(letters.topics_of(selection), after)) as chunks:
            async for chunk in chunks:
                results = await handle(letters, chunk)
                if results:
                    break
    refused = sum(result.refusal is not None for result in results)
    is_over = scan.is_complete or scan.last is None
    return JsonAnswer(
        {
            "done": len(results) - refused,
            "refused": refused,
            "results": [result_form(result) for result in results],
            "cursor": None if is_over or scan.last is None else write_step(until, scan.last),
        }
    )


async def _entry(letters: OpenDeadLetters, letter_id: str) -> Entry:
    position = parse_position(letter_id)
    entry = None if position is None else await letters.find(position)
    if entry is None:
        raise not_found("dead letter", deadLetterId=letter_id)
    return entry


def _result(result: Result) -> Response:
    if result.refusal is not None:
        text = f"the dead letter is refused: {result.refusal.value}"
        raise ApplicationFailure(409, "FAILED_PRECONDITION", text, {"refusal": result.refusal.value})
    return JsonAnswer({"result": result_form(result)})
