"""What endpoints are given: the parts of the gateway, the caller, and how to recognise a write."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import uuid_utils
from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader

from schemas.cloudevents import traceparent_of
from services.gateway.auth import SITE_HEADER, Caller, admit
from services.gateway.consistency import CONSISTENT_HEADER, Heads, Position, wait_until_shown
from services.gateway.errors import RETRY_AFTER, Failure
from services.gateway.keys import Keys, Scope
from services.gateway.parameters import IDEMPOTENCY_HEADER, check_idempotency_key
from services.gateway.settings import GatewaySettings
from services.gateway.writes import Order, Writes
from services.readmodel.queries import Views


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that endpoints use; `app.compose` puts them into the application's state."""

    settings: GatewaySettings
    keys: Keys
    views: Views
    heads: Heads
    writes: Writes


# All of these are coroutines: FastAPI sends plain functions through a thread pool, once per request.
async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Gateway: TypeAlias = Annotated[Parts, Depends(_parts)]
Key: TypeAlias = Annotated[str | None, Security(APIKeyHeader(name="Authorization", auto_error=False))]
Site: TypeAlias = Annotated[str | None, Header(alias=SITE_HEADER)]


async def _reader(
    gateway: Gateway,
    key: Key,
    site: Site = None,
    consistent: Annotated[str | None, Header(alias=CONSISTENT_HEADER)] = None,
) -> Caller:
    caller = admit(await gateway.keys.find(key) if key else None, Scope.READ, site)
    position = Position.parse(consistent) if consistent else None
    if position is not None:
        with gateway.heads.watch(position.gallery_id) as watch:
            seconds = gateway.settings.gateway_view_timeout.total_seconds()
            if not await wait_until_shown(gateway.views, watch, caller.site_id, position, seconds):
                raise Failure(503, RETRY_AFTER)
    return caller


async def _order(
    request: Request,
    gateway: Gateway,
    key: Key,
    site: Site = None,
    idempotency_key: Annotated[str | None, Header(alias=IDEMPOTENCY_HEADER)] = None,
    traceparent: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Order:
    caller = admit(await gateway.keys.find(key) if key else None, Scope.MANAGE, site)
    return Order(
        site_id=caller.site_id,
        command_id=str(uuid_utils.uuid7()) if idempotency_key is None else check_idempotency_key(idempotency_key),
        correlation_id=request.state.request_id,
        traceparent=traceparent_of({"traceparent": traceparent} if traceparent else {}),
    )


Reader: TypeAlias = Annotated[Caller, Depends(_reader)]
"""A caller who may read, once the read model has reached the position that the request carries (D24)."""

WriteOrder: TypeAlias = Annotated[Order, Depends(_order)]
"""The order of a caller who may write."""
