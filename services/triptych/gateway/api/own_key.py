"""The endpoint that says what the API key of a request is allowed to do."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from triptych.contract.base import WireModel
from triptych.gateway.access.keys import ApiKey, shown_id
from triptych.gateway.api.dependencies import key_admitted
from triptych.gateway.http.responses import JsonAnswer

router = APIRouter(prefix="/v1", tags=["keys"])


class KeyForm(WireModel):
    """An API key without its secret; `site_id` is null for a key of no site, which works on any."""

    id: str
    site_id: str | None
    scopes: list[str]


class KeyAnswer(WireModel):
    """The key of the request."""

    key: KeyForm


@router.get("/key", response_model=KeyAnswer)
async def get_own_key(key: Annotated[ApiKey, Depends(key_admitted)]) -> Response:
    """What the API key of this request is allowed to do. Any valid key may ask."""
    return JsonAnswer({"key": {"id": shown_id(key.key_id), "siteId": key.site_id, "scopes": sorted(key.scopes)}})
