"""The endpoint that creates many items, each on its own, which the contract does not know."""

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
from triptych.gateway.api.dependencies import Gateway, WriteOrder
from triptych.gateway.api.openapi import json_body
from triptych.gateway.api.parameters import GalleryId
from triptych.gateway.http.bodies import parse_body, read_body
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, InvalidRequest
from triptych.gateway.http.responses import WITH_BODY, WRITE, BulkAnswer, JsonAnswer, failures
from triptych.gateway.writing.rejections import failure_of

router = APIRouter(prefix="/v2/galleries/{galleryId}/items", tags=["beyond"])


class CreateItemsBody(WireModel):
    """What bulk creation takes: up to 500 items."""

    items: Annotated[list[NewItem], Field(min_length=1, max_length=ITEMS_MAX)]


BODIES = (CreateItemsBody,)


class _UncheckedItems(WireModel):
    """The same, with items that are judged one by one."""

    items: Annotated[list[Any], Field(min_length=1, max_length=ITEMS_MAX)]


@router.post(
    "/bulk",
    response_model=BulkAnswer,
    responses={**WRITE, **WITH_BODY, **failures(404)},
    openapi_extra=json_body(CreateItemsBody, examples.CREATE_ITEMS),
)
async def bulk_create_items(order: WriteOrder, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Create items, shown in the order given; one that is refused does not keep the others from being created."""
    judged = _judge_each(await read_body(request, gateway.settings.gateway_body_limit))
    # What is created later is shown earlier, so the first of them is created last. Those with a sort order of their
    # own come before: no default may take it.
    valid = [(index, item) for index, item in sorted(judged.items(), key=_turn) if isinstance(item, NewItem)]
    commands = {
        # What is expected of the gallery holds before the first of them, which changes it.
        index: CreateItems(gallery_id=gallery_id, items=(item,), **({} if place else order.expectation))
        for place, (index, item) in enumerate(valid)
    }
    whole = replace(order, request=f"{order.request} {_digest(judged)}")
    outcomes, headers = await gateway.writes.perform_each(whole, gallery_id, commands)
    results = [_told(index, outcomes[index] if isinstance(item, NewItem) else item) for index, item in judged.items()]
    successes = sum(result["itemMetadata"]["success"] for result in results)
    return JsonAnswer(
        {
            "results": results,
            "bulkActionMetadata": {"totalSuccesses": successes, "totalFailures": len(results) - successes},
        },
        headers=headers,
    )


def _turn(judged: tuple[int, NewItem | InvalidRequest]) -> tuple[bool, int]:
    index, item = judged
    return isinstance(item, NewItem) and item.sort_order is None, -index


def _judge_each(body: bytearray) -> dict[int, NewItem | InvalidRequest]:
    context: dict[str, bool] = {}
    judged = {index: _judge(raw, index, context) for index, raw in enumerate(parse_body(_UncheckedItems, body).items)}
    if FREE_FORM in context and (marked := read_marked(body)) is not None:
        judged = {index: _judge(raw, index, context) for index, raw in enumerate(marked["items"])}
    return judged


def _judge(raw: Any, index: int, context: dict[str, bool]) -> NewItem | InvalidRequest:
    try:
        return NewItem.model_validate(raw, by_name=False, context=context)
    except ValidationError as error:
        return InvalidRequest(violations_of(error, f"items[{index}]"))


def _digest(judged: Mapping[int, NewItem | InvalidRequest]) -> str:
    """What tells the whole apart from another bulk; an item that is refused can have no effect, whatever it holds."""
    items = [item.to_wire() if isinstance(item, NewItem) else None for item in judged.values()]
    return blake2b(json.dumps(items, sort_keys=True).encode(), digest_size=16).hexdigest()


def _told(index: int, outcome: Reply | HttpFailure | NewItem) -> dict[str, Any]:
    """What became of an item."""
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
            raise outcome  # the gallery is not there, for none of the items
        case ApplicationFailure():
            error = outcome.error
        case _:
            description = "what became of it is not known: repeat the request with the same Idempotency-Key"
            error = {"code": "UNAVAILABLE", "description": description, "data": {}}
    return {"itemMetadata": {"originalIndex": index, "success": False, "error": error}}
