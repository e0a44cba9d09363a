"""One connection of an HTTP server: uvicorn's protocol for httptools within `Bounds`, which uvicorn itself lacks."""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from triptych.kit.process.http_bounds import Bounds, Connections, Refusal

PIPELINED_MAX = 32
"""Requests that a client may send ahead on one connection; one read of a socket can contain 14,000 of them."""
LINGER_SECONDS = 2.0
"""How long a refused client's bytes are still received and discarded: a reset could lose the refusal."""
LONG_BODY = "triptych.long_body"
"""An ASGI extension. The application calls its `renew` to give the client another `body_seconds` for the next part of
the body. From then on, the client need not receive the response before it has sent the whole body."""
_FRAMING_PER_BYTE = 8
"""Bytes that one byte of a body may take on the wire; with a chunk for each byte it takes six."""


class _Refused(Exception):
    """Ends the parsing of a request. uvicorn then asks for its 400 response; ours has the status given here instead."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. It is idle until the head of a request is complete, and again after the response."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        open_connections: Connections,
        refusal: Refusal,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.address = ""
        self._bounds = bounds
        self._open = open_connections
        self._refusal = refusal
        self._is_admitted = False
        self._is_in_body = False
        self._is_duplex = False
        self._is_ending = False
        self._refused_with: HTTPStatus | None = None
        self._fed_bytes = 0  # since the last request ended, without the content of bodies
        self._head_bytes = 0
        self._fields = 0
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or refuse it with 503 if no slot is free."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._is_admitted = self._open.admit(self)
        if not self._is_admitted:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._read_within(self._bounds.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the connection's slot and stop its timers."""
        if self._is_admitted:
            self._is_admitted = False
            self._open.remove(self)
        self._read_within(None)
        self._cancel_write_timer()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close, because another connection needs the slot."""
        self._is_admitted = False
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse the data, within the bounds."""
        if self._is_ending:
            return
        self._fed_bytes += len(data)
        super().data_received(data)
        # Only this count includes what the parser keeps of an unfinished head, field or trailer.
        if self._fed_bytes > self._bounds.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._fed_bytes and self._read_timer is None:
            self._read_within(self._bounds.head_seconds)

    def on_message_begin(self) -> None:
        """Start counting a new request."""
        super().on_message_begin()
        self._head_bytes = self._fields = 0

    def on_url(self, url: bytes) -> None:
        """Count a piece of the request target."""
        self._head_bytes += len(url)
        if self._head_bytes > self._bounds.head_bytes:
            raise self._refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header field or a trailer field."""
        self._head_bytes += len(name) + len(value)
        self._fields += 1
        if self._head_bytes > self._bounds.head_bytes or self._fields > self._bounds.head_fields:
            raise self._refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: the request is in progress."""
        if len(self.pipeline) >= PIPELINED_MAX:
            raise self._refused(HTTPStatus.BAD_REQUEST)
        super().on_headers_complete()
        self.scope["extensions"] = {LONG_BODY: {"renew": partial(self._extend_body, self.scope)}}
        self._is_in_body = True
        self._fed_bytes = 0
        if self._is_admitted:
            self._open.mark_busy(self)
        self._read_within(self._bounds.body_seconds)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, which does not count as framing."""
        self._fed_bytes = max(0, self._fed_bytes - _FRAMING_PER_BYTE * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is complete."""
        self._is_in_body = False
        self._fed_bytes = 0
        self._read_within(None)
        if self._is_duplex:
            self._is_duplex = False
            if self.flow.write_paused:
                self._write_within_bounds()
        super().on_message_complete()
        self._mark_if_idle()

    def on_response_complete(self) -> None:
        """The response is complete. uvicorn's own timer runs until the next request."""
        super().on_response_complete()
        self._mark_if_idle()

    def pause_writing(self) -> None:
        """Start the timer for a client that takes no data at the moment."""
        super().pause_writing()
        if not self._is_duplex:
            self._write_within_bounds()

    def resume_writing(self) -> None:
        """Stop the timer: the client takes data again."""
        self._cancel_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the status says more
        """Refuse what uvicorn cannot parse, in our format."""
        self._refuse(self._refused_with or HTTPStatus.BAD_REQUEST)

    def _unsupported_upgrade_warning(self) -> None:
        # No other protocol is supported. The parser reads nothing more, so this response is the connection's last.
        if self.cycle.response_complete:
            self.transport.close()
        self.cycle.keep_alive = False

    def _mark_if_idle(self) -> None:
        if self._is_admitted and not self._is_in_body and self.cycle.response_complete:
            self._open.mark_idle(self)

    def _refused(self, status: HTTPStatus) -> _Refused:
        self._refused_with = status
        return _Refused(status)

    def _refuse(self, status: HTTPStatus) -> None:
        if self._is_ending:
            return
        self._is_ending = True
        self._read_within(None)
        # A client that waits for another response, or has the start of this one, would take the refusal for that one.
        is_due = not self.cycle.response_started if self._is_in_body else self._is_between_responses()
        if is_due and not self.pipeline and not self.transport.is_closing():
            self.transport.write(self._refusal_bytes(status))
            if self._is_in_body:
                # The application is told that the client is gone, so it sends no response.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            if status is not HTTPStatus.SERVICE_UNAVAILABLE and self.transport.can_write_eof():
                self.transport.write_eof()
                self._read_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
                return
        self.transport.close()

    def _refusal_bytes(self, status: HTTPStatus) -> bytes:
        body, headers = self._refusal(status, _MEANINGS[status])
        fields = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            **_HEADERS.get(status, {}),
            **headers,
        }
        lines = [f"HTTP/1.1 {status:d} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1") + body

    def _extend_body(self, scope: Any) -> None:
        if self.scope is scope and self._is_in_body and not self._is_ending:
            self._is_duplex = True
            self._cancel_write_timer()
            self._read_within(self._bounds.body_seconds)

    def _write_within_bounds(self) -> None:
        self._cancel_write_timer()
        self._write_timer = self.loop.call_later(self._bounds.write_seconds, self.transport.abort)

    def _is_between_responses(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _read_within(self, seconds: float | None) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        self._read_timer = None if seconds is None else self.loop.call_later(seconds, self._read_too_long)

    def _read_too_long(self) -> None:
        self._read_timer = None
        if self._is_duplex and self.flow.write_paused:
            self.transport.abort()  # the client neither sends nor receives
        elif self._fed_bytes or self._is_in_body:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()  # the client has sent nothing, so no response is due

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "the request is not HTTP/1.1",
    HTTPStatus.REQUEST_TIMEOUT: "the request did not arrive in time",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the head of the request, or the framing of its body, is too large",
    HTTPStatus.SERVICE_UNAVAILABLE: "too many connections are open",
}
_HEADERS = {HTTPStatus.SERVICE_UNAVAILABLE: {"retry-after": "1"}}
