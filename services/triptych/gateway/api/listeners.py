"""Endpoints that administer listeners."""

from datetime import timedelta
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from triptych.contract.base import Guid, WireModel
from triptych.gateway.access.keys import Scope
from triptych.gateway.api.dependencies import Gateway, admitted
from triptych.gateway.api.listener_models import (
    DeletedAnswer,
    ListenerAnswer,
    ListenersAnswer,
    OperationalEventsAnswer,
    SecretAnswer,
)
from triptych.gateway.api.openapi import json_body
from triptych.gateway.http.bodies import parse_body, read_body
from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure, not_found
from triptych.gateway.http.etags import refuse_conditions
from triptych.gateway.http.responses import JsonAnswer
from triptych.gateway.http.strictness import refuse_body, refuse_unknown
from triptych.kit.failures import StartRefused, TransientFailure
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database
from triptych.webhooks.admin.administration import Administration, open_administration
from triptych.webhooks.model.registration import OVERLAP_SECONDS, ListenerChange, NewListener
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.settings import ListenerSettings

log = get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["listeners"])

PAGE_MAX = 100
ListenerId: TypeAlias = Annotated[Guid, Path(alias="listenerId")]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor: TypeAlias = Annotated[Guid | None, Query()]
_WEEK_SECONDS = 7 * 86_400


class CreateListenerBody(WireModel):
    """A listener to create."""

    listener: NewListener


class ChangeListenerBody(WireModel):
    """The fields of a listener to change."""

    listener: ListenerChange


class RotateBody(WireModel):
    """How long the old secret stays valid. A misspelt field would invalidate it at once, so it is refused."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=_WEEK_SECONDS)] = OVERLAP_SECONDS


BODIES = (CreateListenerBody, ChangeListenerBody, RotateBody)
_EXAMPLE = {
    "url": "https://example.com/hooks",
    "eventTypes": ["wix.pro_gallery.gallery_v2_created"],
    "format": "standard-hmac",
}


class ListenerAdmin:
    """An administrator of one site, with access to listeners, their deliveries, operational events and health."""

    def __init__(self, site_id: str, administration: Administration) -> None:
        self.site_id = site_id
        self.listeners = administration.listeners
        self.deliveries = administration.deliveries
        self.operational_events = administration.operational_events
        self.health = administration.health

    async def listener(self, listener_id: str) -> Listener:
        """One listener of the site. Raises ApplicationFailure (404) if there is none."""
        return found(await self.listeners.get(self.site_id, listener_id), listener_id)


async def administration_of(settings: ListenerSettings, database: Database) -> Administration | None:
    """The listeners, deliveries and operational events; None if this gateway cannot handle secrets.

    The rest of the gateway works without them.
    """
    try:
        return await open_administration(database, settings)
    except StartRefused as refusal:
        log.warning("listeners cannot be administered through this gateway", error=refusal)
        return None


async def _listener_admin(request: Request) -> ListenerAdmin:
    caller = await admitted(request, Scope.LISTENERS)
    administration: Administration | None = request.app.state.administration
    if administration is None:
        raise HttpFailure(503)
    if request.method != "GET":
        refuse_conditions(request)
    return ListenerAdmin(caller.site_id, administration)


Admin: TypeAlias = Annotated[ListenerAdmin, Depends(_listener_admin)]
"""An administrator of listeners."""


def found(listener: Listener | None, listener_id: str) -> Listener:
    """The listener. Raises ApplicationFailure (404) if there is none."""
    if listener is None:
        raise not_found("listener", listenerId=listener_id)
    return listener


@router.post(
    "/listeners",
    response_model=SecretAnswer,
    openapi_extra=json_body(CreateListenerBody, {"listener": _EXAMPLE}),
)
async def create_listener(admin: Admin, gateway: Gateway, request: Request) -> Response:
    """Subscribe an address to events. A shared secret is in this response only."""
    body = parse_body(CreateListenerBody, await read_body(request, gateway.settings.gateway_body_limit))
    try:
        created = await admin.listeners.create(admin.site_id, body.listener)
    except TransientFailure as failure:
        log.warning(
            "no listener can be created", site_id=admin.site_id, request_id=request.state.request_id, error=failure
        )
        raise HttpFailure(503, RETRY_AFTER) from failure
    return JsonAnswer(created.to_wire())


@router.get("/listeners", response_model=ListenersAnswer)
async def list_listeners(admin: Admin, limit: Limit = PAGE_MAX, cursor: Cursor = None) -> Response:
    """The listeners of the site by id; the `cursor` of the response leads to the next page."""
    page = await admin.listeners.list(admin.site_id, limit, cursor)
    next_cursor = page[-1].id if len(page) == limit else None
    return JsonAnswer({"listeners": [listener.to_wire() for listener in page], "cursor": next_cursor})


@router.get("/listeners/{listenerId}", response_model=ListenerAnswer)
async def get_listener(admin: Admin, listener_id: ListenerId) -> Response:
    """One listener."""
    return _answer(await admin.listener(listener_id))


@router.patch(
    "/listeners/{listenerId}",
    response_model=ListenerAnswer,
    openapi_extra=json_body(ChangeListenerBody, {"listener": {"timeoutSeconds": 5}}),
)
async def change_listener(admin: Admin, gateway: Gateway, listener_id: ListenerId, request: Request) -> Response:
    """Change the fields that are given; open deliveries use the new settings."""
    body = parse_body(ChangeListenerBody, await read_body(request, gateway.settings.gateway_body_limit))
    return _answer(found(await admin.listeners.change(admin.site_id, listener_id, body.listener), listener_id))


@router.delete("/listeners/{listenerId}", response_model=DeletedAnswer)
async def delete_listener(admin: Admin, listener_id: ListenerId, request: Request) -> Response:
    """Delete a listener: open deliveries are cancelled; the delivery log is kept."""
    refuse_unknown(request)
    await refuse_body(request)
    if not await admin.listeners.delete(admin.site_id, listener_id):
        raise not_found("listener", listenerId=listener_id)
    return JsonAnswer({"listenerId": listener_id})


@router.post("/listeners/{listenerId}/pause", response_model=ListenerAnswer)
async def pause_listener(admin: Admin, listener_id: ListenerId) -> Response:
    """Keep deliveries waiting until the listener is resumed."""
    return _answer(found(await admin.listeners.pause(admin.site_id, listener_id), listener_id))


@router.post("/listeners/{listenerId}/resume", response_model=ListenerAnswer)
async def resume_listener(admin: Admin, listener_id: ListenerId) -> Response:
    """Resume sending to a listener that was paused or disabled."""
    return _answer(found(await admin.listeners.resume(admin.site_id, listener_id), listener_id))


@router.post(
    "/listeners/{listenerId}/rotate-secret",
    response_model=SecretAnswer,
    openapi_extra=json_body(RotateBody, {"overlapSeconds": 86_400}, required=False),
)
async def rotate_secret(admin: Admin, gateway: Gateway, listener_id: ListenerId, request: Request) -> Response:
    """Give the listener a new key. A shared secret is in this response only."""
    refuse_unknown(request)
    raw = await read_body(request, gateway.settings.gateway_body_limit)
    body = parse_body(RotateBody, raw or bytearray(b"{}"))
    overlap = timedelta(seconds=body.overlap_seconds)
    rotated = await admin.listeners.rotate(admin.site_id, listener_id, overlap)
    if rotated is None:
        raise not_found("listener", listenerId=listener_id)
    return JsonAnswer(rotated.to_wire())


@router.get("/listeners/{listenerId}/public-key", response_class=Response)
async def download_public_key(
    admin: Admin, listener_id: ListenerId, key_id: Annotated[Guid | None, Query(alias="keyId")] = None
) -> Response:
    """The SPKI PEM of the newest key, or of the named key; a shared secret has no public key."""
    listener = await admin.listener(listener_id)
    wanted = key_id or listener.keys[0].key_id
    known = wanted in {use.key_id for use in listener.keys}
    pem = await admin.listeners.public_key(admin.site_id, wanted) if known else None
    if pem is None:
        raise not_found("public key", listenerId=listener_id, keyId=wanted)
    return Response(pem, media_type="application/x-pem-file")


@router.get("/operational-events", response_model=OperationalEventsAnswer)
async def list_operational_events(admin: Admin, limit: Limit = PAGE_MAX) -> Response:
    """Operational events of listeners, latest first."""
    return JsonAnswer({"operationalEvents": await admin.operational_events.list(admin.site_id, limit)})


def _answer(listener: Listener) -> Response:
    return JsonAnswer({"listener": listener.to_wire()})
