"""The log of requests: every one if the setting says so, otherwise those of known senders that are refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.support.log_lines import Fields, logged
from triptych.gateway.http.middleware import OuterMiddleware

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
KEY = "tk_of-the-client-0123456789"
HEADERS = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", "Authorization": KEY}
ANSWERED = "a request was answered"


async def answer(request: Request) -> Response:
    """Answer with the status in the path; the sender is known unless the status is 401."""
    status = int(request.path_params["status"])
    if status == 500:
        raise RuntimeError("planted")
    if status != 401:
        request.state.site_id, request.state.source = "s", "triptych/gateway/abc"
    return PlainTextResponse("x", status)


@asynccontextmanager
async def client(*, logs_all: bool) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application behind the middleware."""
    outermost = Middleware(OuterMiddleware, logs_all=logs_all)
    app = Starlette(routes=[Route("/things/{status}", answer)], middleware=[outermost])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS) as made:
        yield made


async def lines_of(caplog: pytest.LogCaptureFixture, *, logs_all: bool) -> list[Fields]:
    """The lines about three requests: one that succeeds, one that is refused, one of an unknown sender."""
    caplog.set_level("INFO", "triptych")
    async with client(logs_all=logs_all) as opened:
        for status in (200, 404, 401):
            assert (await opened.get(f"/things/{status}?secret=in-the-query")).status_code == status
    lines = logged(caplog.records, ANSWERED)
    assert not any(KEY in str(line) or "in-the-query" in str(line) for line in lines)
    return lines


async def test_refused_requests_of_known_senders_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = await lines_of(caplog, logs_all=False)
    assert (line["method"], line["status"], line["site_id"], line["source"]) == (
        "GET",
        404,
        "s",
        "triptych/gateway/abc",
    )
    assert (line["trace_id"], len(line["request_id"])) == (TRACE_ID, 36)
    assert 0 <= line["seconds"] < 60


async def test_of_several_traces_of_a_request_none_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "triptych")
    async with client(logs_all=True) as opened:
        await opened.get("/things/200", headers=[("traceparent", HEADERS["traceparent"])] * 2)
    (line,) = logged(caplog.records, ANSWERED)
    assert "trace_id" not in line


async def test_every_request_is_logged_if_the_setting_says_so(caplog: pytest.LogCaptureFixture) -> None:
    lines = await lines_of(caplog, logs_all=True)
    assert [(line["status"], line.get("source")) for line in lines] == [
        (200, "triptych/gateway/abc"),
        (404, "triptych/gateway/abc"),
        (401, None),
    ]
    assert len({line["request_id"] for line in lines}) == 3
    assert {line["logger"] for line in lines} == {"triptych.gateway.access"}


async def test_a_fault_is_logged_with_the_id_of_its_request(caplog: pytest.LogCaptureFixture) -> None:
    async with client(logs_all=False) as opened:
        answered = await opened.get("/things/500")
    (line,) = logged(caplog.records, "a request failed")
    assert (answered.status_code, line["request_id"]) == (500, answered.headers["X-Wix-Request-Id"])
    assert (line["method"], line["path"], line["exc_info"]) == ("GET", "/things/500", True)
