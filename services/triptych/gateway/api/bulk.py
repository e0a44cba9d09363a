"""The endpoint that creates many items, each with a result of its own; it is not part of the contract."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError
from starlette.responses import Response

from triptych.contract.base import FREE_FORM, WireModel
from triptych.contract.codec.exact import read_marked
from triptych.contract.commands import CreateItems
from triptych.contract.gallery import ITEMS_MAX
from triptych.contract.item import NewItem
from triptych.contract.replies import Reply
from triptych.contract.violations import violations_of
from triptych.gateway.api import examples
from triptych.gateway.api.dependencies import Gateway, Write
from triptych.gateway.api.openapi import json_body
from triptych.gateway.api.parameters import GalleryId
from triptych.gateway.http.bodies import parse_body, read_body
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, InvalidRequest
from triptych.gateway.http.responses import WITH_BODY, WRITE, BulkAnswer, JsonAnswer, failures
from triptych.gateway.writing.rejections import failure_of

router = APIRouter(prefix="/v2/galleries/{galleryId}/items", tags=["beyond"])


class CreateItemsBody(WireModel):
    """The body of bulk creation: up to 500 items."""

    items: Annotated[list[NewItem], Field(min_length=1, max_length=ITEMS_MAX)]


BODIES = (CreateItemsBody,)


class _UncheckedItems(WireModel):
    """The body of bulk creation before its items are validated one by one."""

    items: Annotated[list[Any], Field(min_length=1, max_length=ITEMS_MAX)]


@router.post(
    "/bulk",
    response_model=BulkAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(CreateItemsBody, examples.CREATE_ITEMS),
)
async def bulk_create_items(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Create items, shown in the order given. An item that is refused does not prevent the others."""
    parsed = _parse_each(await read_body(request, gateway.settings.gateway_body_limit))
    # An item that is created later is shown earlier, so the first item is created last. Items with a sort order come
    # before those without, so that no default takes their sort order.
    valid = [(index, item) for index, item in sorted(parsed.items(), key=_creation_order) if isinstance(item, NewItem)]
    commands = {
        # Only the first command has the expected sequence, since it changes the gallery.
        index: CreateItems(gallery_id=gallery_id, items=(item,), **({} if number else write.expectation))
        for number, (index, item) in enumerate(valid)
    }
    whole = replace(write, request=f"{write.request} {_digest(parsed)}")
    outcomes, headers = await gateway.writes.perform_each(whole, gallery_id, commands)
    results = [_result(index, outcomes[index] if isinstance(item, NewItem) else item) for index, item in parsed.items()]
    successes = sum(result["itemMetadata"]["success"] for result in results)
    return JsonAnswer(
        {
            "results": results,
            "bulkActionMetadata": {"totalSuccesses": successes, "totalFailures": len(results) - successes},
        },
        headers=headers,
    )


def _creation_order(parsed: tuple[int, NewItem | InvalidRequest]) -> tuple[bool, int]:
    index, item = parsed
    return isinstance(item, NewItem) and item.sort_order is None, -index


def _parse_each(body: bytearray) -> dict[int, NewItem | InvalidRequest]:
    context: dict[str, bool] = {}
    parsed = {index: _parse(raw, index, context) for index, raw in enumerate(parse_body(_UncheckedItems, body).items)}
    if FREE_FORM in context and (marked := read_marked(body)) is not None:
        parsed = {index: _parse(raw, index, context) for index, raw in enumerate(marked["items"])}
    return parsed


def _parse(raw: Any, index: int, context: dict[str, bool]) -> NewItem | InvalidRequest:
    try:
        return NewItem.model_validate(raw, by_name=False, context=context)
    except ValidationError as error:
        return InvalidRequest(violations_of(error, f"items[{index}]"))


def _digest(parsed: Mapping[int, NewItem | InvalidRequest]) -> str:
    """A hash that distinguishes this bulk from another. A refused item has no effect, so its content does not count."""
    items = [item.to_wire() if isinstance(item, NewItem) else None for item in parsed.values()]
    return blake2b(json.dumps(items, sort_keys=True).encode(), digest_size=16).hexdigest()


def _result(index: int, outcome: Reply | HttpFailure | NewItem) -> dict[str, Any]:
    """The result for one item."""
    if isinstance(outcome, Reply) and outcome.item_ids:
        return {"itemMetadata": {"originalIndex": index, "success": True, "id": outcome.item_ids[0]}}
    if isinstance(outcome, Reply) and outcome.error is not None:
        outcome = failure_of(outcome.error, lambda field: field.replace("items[0]", f"items[{index}]", 1))
    match outcome:
        case InvalidRequest():
            description = outcome.body()["message"]
            data = {"fieldViolations": [violation.to_wire() for violation in outcome.violations]}
            error = {"code": "INVALID_ARGUMENT", "description": description, "data": data}
        case ApplicationFailure(status=404):
            raise outcome  # the gallery does not exist, so no item can be created
        case ApplicationFailure():
            error = outcome.error
        case _:
            description = "the outcome is not known: repeat the request with the same Idempotency-Key"
            error = {"code": "UNAVAILABLE", "description": description, "data": {}}
    return {"itemMetadata": {"originalIndex": index, "success": False, "error": error}}
