"""Endpoints that say how listeners do."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from triptych.gateway.api.listener_models import HealthAnswer
from triptych.gateway.api.listeners import Admin, Cursor, ListenerAdmin, ListenerId
from triptych.gateway.http.responses import JsonAnswer

router = APIRouter(prefix="/v1", tags=["listeners"])

PAGE_MAX = 20
"""The most listeners of one answer: each costs up to 200 deliveries and 4,000 entries of an index."""


@router.get("/listener-health", response_model=HealthAnswer)
async def list_listener_health(
    admin: Admin, limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX, cursor: Cursor = None
) -> Response:
    """How the listeners of the site answer, and what waits for them, by id, in the same pages as the listeners."""
    page = await admin.listeners.list(admin.site_id, limit, cursor)
    ids = [listener.id for listener in page]
    return await _answer(admin, ids, ids[-1] if len(ids) == limit else None)


@router.get("/listeners/{listenerId}/health", response_model=HealthAnswer)
async def get_listener_health(admin: Admin, listener_id: ListenerId) -> Response:
    """How one listener answers, and what waits for it."""
    return await _answer(admin, [(await admin.listener(listener_id)).id], None)


async def _answer(admin: ListenerAdmin, ids: Sequence[str], cursor: str | None) -> Response:
    health = await admin.health.read(admin.site_id, ids) if ids else []
    return JsonAnswer(
        {"health": [one.to_wire() for one in health], "hasRelay": await admin.health.has_relay(), "cursor": cursor}
    )
