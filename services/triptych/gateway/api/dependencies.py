"""What endpoints are given: the parts of the gateway, the caller, and how to recognise a write."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import uuid_utils
from fastapi import Depends, Request
from starlette.datastructures import Headers

from triptych.contract.codec.trace_context import NO_TRACE, TRACEPARENT, TRACESTATE, TraceContext, trace_context
from triptych.gateway.access.auth import KEY_HEADER, SITE_HEADER, Caller, admit, source_of
from triptych.gateway.access.keys import Keys, Scope
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.api.parameters import IDEMPOTENCY_HEADER, check_idempotency_key
from triptych.gateway.http.budget import Budget
from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure
from triptych.gateway.http.etags import expected_sequences
from triptych.gateway.live.streams import Streams
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.read_your_writes import (
    CONSISTENT_HEADER,
    GalleryWaiters,
    parse_positions,
    wait_until_all_shown,
)
from triptych.gateway.writing.writes import WriteRequest, Writes
from triptych.readmodel.queries import Views


@dataclass(frozen=True, slots=True)
class GatewayState:
    """The parts that endpoints use; `app.compose` puts them into the application's state."""

    settings: GatewaySettings
    keys: Keys
    limit: RateLimit
    views: Views
    heads: GalleryWaiters
    writes: Writes
    streams: Streams
    budget: Budget


# These read the request themselves: a parameter that FastAPI solves costs 10 µs and more, in every request (measured: a
# third of what FastAPI does for a read). `openapi` describes the headers. All are coroutines, because FastAPI sends
# plain functions through a thread pool.
async def _parts(request: Request) -> GatewayState:
    return state_of(request)


Gateway: TypeAlias = Annotated[GatewayState, Depends(_parts)]


def state_of(request: Request) -> GatewayState:
    """The parts of the gateway that serves a request."""
    parts: GatewayState = request.app.state.parts
    return parts


async def admitted(request: Request, needed: Scope) -> Caller:
    """The caller who has the request's key, which allows what is needed.

    Raises:
        Refused: 401, 403, or 429 for a key that asks too often.
        Invalid: the site's id is not one.
    """
    gateway, key = state_of(request), request.headers.get(KEY_HEADER)
    found = await gateway.keys.find(key) if key else None
    if found is not None:
        request.state.source = source_of(found.key_id)
        gateway.limit.take(found.key_id)
    caller = admit(found, needed, request.headers.get(SITE_HEADER))
    request.state.site_id = caller.site_id
    return caller


async def _reader(request: Request) -> Caller:
    caller = await admitted(request, Scope.READ)
    if positions := parse_positions(request.headers.get(CONSISTENT_HEADER, "")):
        gateway = state_of(request)
        seconds = gateway.settings.gateway_view_timeout.total_seconds()
        if not await wait_until_all_shown(gateway.views, gateway.heads, caller.site_id, positions, seconds):
            raise HttpFailure(503, RETRY_AFTER)
    return caller


async def _order(request: Request) -> WriteRequest:
    caller = await admitted(request, Scope.MANAGE)
    headers = request.headers
    keys, trace = headers.getlist(IDEMPOTENCY_HEADER), _trace_of(headers)
    return WriteRequest(
        site_id=caller.site_id,
        source=caller.source,
        # The name of the endpoint: it stands for method and target, since ids and query are in the command.
        request=request.scope["endpoint"].__name__,
        command_id=check_idempotency_key(keys) if keys else str(uuid_utils.uuid7()),
        is_named=bool(keys),
        correlation_id=request.state.request_id,
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
        earlier=tuple(parse_positions(headers.get(CONSISTENT_HEADER, ""))),
        expected=expected_sequences(headers.getlist("if-match"), headers.getlist("if-none-match")),
    )


def _trace_of(headers: Headers) -> TraceContext:
    parents = headers.getlist(TRACEPARENT)
    if len(parents) != 1:  # none, or several, which is no trace (W3C Trace Context, 3.2)
        return NO_TRACE
    states = headers.getlist(TRACESTATE)
    return trace_context({TRACEPARENT: parents[0], **({TRACESTATE: ",".join(states)} if states else {})})


Reader: TypeAlias = Annotated[Caller, Depends(_reader)]
"""A caller who may read, once the read model has reached the positions that the request carries (D24)."""

WriteOrder: TypeAlias = Annotated[WriteRequest, Depends(_order)]
"""The order of a caller who may write; it may depend on the gallery's sequence, which is 0 before it is created."""
