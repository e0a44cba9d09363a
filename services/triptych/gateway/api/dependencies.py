"""Dependencies of endpoints: the state of the gateway, the caller of a request, and the request to write."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import uuid_utils
from fastapi import Depends, Request
from starlette.datastructures import Headers

from triptych.contract.codec.trace_context import NO_TRACE, TRACEPARENT, TRACESTATE, TraceContext, trace_context
from triptych.gateway.access.auth import KEY_HEADER, SITE_HEADER, Caller, admit, admit_any, admit_operator
from triptych.gateway.access.keys import ApiKey, Keys, Scope, source_of
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.api.parameters import IDEMPOTENCY_HEADER, check_idempotency_key
from triptych.gateway.http.budget import Budget
from triptych.gateway.http.errors import RETRY_AFTER, HttpFailure
from triptych.gateway.http.etags import expected_sequences
from triptych.gateway.lines.slots import LineSlots
from triptych.gateway.live.streams import Streams
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.read_your_writes import (
    CONSISTENT_HEADER,
    GalleryWaiters,
    parse_positions,
    wait_until_all_shown,
)
from triptych.gateway.writing.unshown import UnshownWrites
from triptych.gateway.writing.write_request import WriteRequest
from triptych.gateway.writing.writes import Writes
from triptych.history.queries import History
from triptych.readmodel.item_reads import ItemReads
from triptych.readmodel.queries import Views


@dataclass(frozen=True, slots=True)
class GatewayState:
    """The components that endpoints use; `app.compose` stores them in the application's state."""

    settings: GatewaySettings
    keys: Keys
    limit: RateLimit
    views: Views
    history: History
    item_reads: ItemReads
    unshown: UnshownWrites
    gallery_waiters: GalleryWaiters
    writes: Writes
    streams: Streams
    budget: Budget
    line_slots: LineSlots


# The dependencies read the request themselves: a parameter that FastAPI resolves costs 10 µs and more in every request
# (measured: a third of FastAPI's time for a read). `openapi` describes the headers. All are coroutines, because FastAPI
# runs plain functions in a thread pool.
async def _gateway_state(request: Request) -> GatewayState:
    return state_of(request)


Gateway: TypeAlias = Annotated[GatewayState, Depends(_gateway_state)]


def state_of(request: Request) -> GatewayState:
    """The state of the gateway that serves a request."""
    state: GatewayState = request.app.state.gateway
    return state


async def admitted(request: Request, needed: Scope) -> Caller:
    """The caller, if the request's key has the scope that is needed.

    Raises:
        ApplicationFailure: 401, 403, or 429 for a key that sends too many requests.
        InvalidRequest: the named site is not a site id.
    """
    caller = admit(await _key_of(request), needed, request.headers.get(SITE_HEADER))
    request.state.site_id = caller.site_id
    return caller


async def operator_admitted(request: Request, needed: Scope) -> str:
    """The source of the caller's key, if the key has the scope that is needed, for all sites.

    Raises:
        ApplicationFailure: 401, 403, or 429 for a key that sends too many requests.
    """
    return admit_operator(await _key_of(request), needed, request.headers.get(SITE_HEADER))


async def key_admitted(request: Request) -> ApiKey:
    """The key of the request, whatever its scopes. Raises like `admitted`."""
    return admit_any(await _key_of(request), request.headers.get(SITE_HEADER))


async def _key_of(request: Request) -> ApiKey | None:
    gateway, key = state_of(request), request.headers.get(KEY_HEADER)
    found = await gateway.keys.find(key) if key else None
    if found is not None:
        request.state.source = source_of(found.key_id)
        gateway.limit.take(found.key_id)
    return found


async def _reader(request: Request) -> Caller:
    caller = await admitted(request, Scope.READ)
    if positions := parse_positions(request.headers.get(CONSISTENT_HEADER, "")):
        gateway = state_of(request)
        seconds = gateway.settings.gateway_view_timeout.total_seconds()
        if not await wait_until_all_shown(gateway.views, gateway.gallery_waiters, caller.site_id, positions, seconds):
            raise HttpFailure(503, RETRY_AFTER)
    return caller


async def _write_request(request: Request) -> WriteRequest:
    caller = await admitted(request, Scope.MANAGE)
    headers = request.headers
    keys, trace = headers.getlist(IDEMPOTENCY_HEADER), trace_of(headers)
    return WriteRequest(
        site_id=caller.site_id,
        source=caller.source,
        # The endpoint's name identifies method and route; the ids and the query are in the command.
        request=request.scope["endpoint"].__name__,
        command_id=check_idempotency_key(keys) if keys else str(uuid_utils.uuid7()),
        has_client_key=bool(keys),
        correlation_id=request.state.request_id,
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
        earlier=tuple(parse_positions(headers.get(CONSISTENT_HEADER, ""))),
        expected=expected_sequences(headers.getlist("if-match"), headers.getlist("if-none-match")),
    )


def trace_of(headers: Headers) -> TraceContext:
    parents = headers.getlist(TRACEPARENT)
    if len(parents) != 1:  # several headers count as none (W3C Trace Context, 3.2)
        return NO_TRACE
    states = headers.getlist(TRACESTATE)
    return trace_context({TRACEPARENT: parents[0], **({TRACESTATE: ",".join(states)} if states else {})})


Reader: TypeAlias = Annotated[Caller, Depends(_reader)]
"""A caller who may read. The endpoint starts once the read model shows the positions in the request (D24)."""

Write: TypeAlias = Annotated[WriteRequest, Depends(_write_request)]
"""The request of a caller who may write. It may expect a sequence of the gallery, which is 0 before its creation."""
