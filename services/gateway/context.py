"""What endpoints are given: the parts of the gateway, the caller, and how to recognise a write."""

from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

import uuid_utils
from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader

from schemas.cloudevents import traceparent_of
from services.gateway.auth import SITE_HEADER, Caller, admit
from services.gateway.consistency import CONSISTENT_HEADER, Heads, parse_positions, wait_until_all_shown
from services.gateway.errors import RETRY_AFTER, Failure
from services.gateway.etags import expected_sequence
from services.gateway.keys import Keys, Scope
from services.gateway.limits import RateLimit
from services.gateway.parameters import IDEMPOTENCY_HEADER, check_idempotency_key
from services.gateway.settings import GatewaySettings
from services.gateway.streams import Streams
from services.gateway.writes import Order, Writes
from services.readmodel.queries import Views


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that endpoints use; `app.compose` puts them into the application's state."""

    settings: GatewaySettings
    keys: Keys
    limit: RateLimit
    views: Views
    heads: Heads
    writes: Writes
    streams: Streams


# All of these are coroutines: FastAPI sends plain functions through a thread pool, once per request.
async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Gateway: TypeAlias = Annotated[Parts, Depends(_parts)]
Key: TypeAlias = Annotated[str | None, Security(APIKeyHeader(name="Authorization", auto_error=False))]
Site: TypeAlias = Annotated[str | None, Header(alias=SITE_HEADER)]
Consistent: TypeAlias = Annotated[str | None, Header(alias=CONSISTENT_HEADER)]


async def admitted(gateway: Parts, key: str | None, site: str | None, needed: Scope) -> Caller:
    """The caller who has this key, which allows what is needed.

    Raises:
        Refused: 401, 403, or 429 for a key that asks too often.
        Invalid: the site's id is not one.
    """
    found = await gateway.keys.find(key) if key else None
    if found is not None:
        gateway.limit.take(found.key_id)
    return admit(found, needed, site)


async def _reader(gateway: Gateway, key: Key, site: Site = None, consistent: Consistent = None) -> Caller:
    caller = await admitted(gateway, key, site, Scope.READ)
    if consistent is not None:
        seconds = gateway.settings.gateway_view_timeout.total_seconds()
        positions = parse_positions(consistent)
        if not await wait_until_all_shown(gateway.views, gateway.heads, caller.site_id, positions, seconds):
            raise Failure(503, RETRY_AFTER)
    return caller


async def _order(
    request: Request,
    gateway: Gateway,
    key: Key,
    site: Site = None,
    consistent: Consistent = None,
    idempotency_key: Annotated[str | None, Header(alias=IDEMPOTENCY_HEADER)] = None,
    traceparent: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Order:
    caller = await admitted(gateway, key, site, Scope.MANAGE)
    return Order(
        site_id=caller.site_id,
        command_id=str(uuid_utils.uuid7()) if idempotency_key is None else check_idempotency_key(idempotency_key),
        correlation_id=request.state.request_id,
        traceparent=traceparent_of({"traceparent": traceparent} if traceparent else {}),
        earlier=tuple(parse_positions(consistent or "")),
    )


async def _conditional_order(
    order: Annotated[Order, Depends(_order)], if_match: Annotated[str | None, Header()] = None
) -> Order:
    return replace(order, expected_sequence=expected_sequence(if_match))


Reader: TypeAlias = Annotated[Caller, Depends(_reader)]
"""A caller who may read, once the read model has reached the positions that the request carries (D24)."""

WriteOrder: TypeAlias = Annotated[Order, Depends(_order)]
"""The order of a caller who may write."""

ConditionalOrder: TypeAlias = Annotated[Order, Depends(_conditional_order)]
"""The same for a write to a gallery that is there, which may depend on its sequence."""
