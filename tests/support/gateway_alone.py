"""The gateway's HTTP application without servers: no galleries, every listener, and writes that time out."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock
from urllib.parse import unquote

import bson
import orjson
from fastapi import FastAPI

from tests.support.listener_examples import listener
from triptych.contract.topics import Topics
from triptych.deadletters.administration import OpenDeadLetters
from triptych.deadletters.model.replaying import ReplayRules
from triptych.deadletters.store.marks import Marks
from triptych.gateway.access.keys import ApiKey, Scope
from triptych.gateway.access.limits import RateLimit
from triptych.gateway.api.dead_letter_access import LetterAccess
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.app import make_app
from triptych.gateway.http.budget import Budget
from triptych.gateway.http.errors import HttpFailure
from triptych.gateway.lines.slots import LineSlots
from triptych.gateway.live.streams import Streams
from triptych.gateway.live.subscription import Positions
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.read_your_writes import GalleryWaiters
from triptych.gateway.writing.unshown import UnshownWrites
from triptych.gateway.writing.write_request import WriteRequest
from triptych.kit.mongo.driver import Database
from triptych.kit.process.health import Health
from triptych.readmodel.queries import Views
from triptych.webhooks.admin.administration import Administration
from triptych.webhooks.store.health import HealthReader
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.resending import DeliveryLog

KEY = "key"


class _Nothing:
    """An empty collection, and the cursors over it. It checks that MongoDB could encode each query."""

    name = "nothing"

    async def find_one(self, query: Any, *_args: Any, **_options: Any) -> None:
        bson.encode(query)

    async def count_documents(self, query: Any, **_options: Any) -> int:
        bson.encode(query)
        return 0

    def find(self, query: Any, *_args: Any, **_options: Any) -> "_Nothing":
        bson.encode(query)
        return self

    def aggregate(self, pipeline: Any, **_options: Any) -> "_Nothing":
        bson.encode({"pipeline": pipeline})
        return self

    def sort(self, *_args: Any) -> "_Nothing":
        return self

    skip = limit = batch_size = sort

    async def to_list(self, _length: int | None = None) -> list[Any]:
        return []

    def __aiter__(self) -> "_Nothing":
        return self

    async def __anext__(self) -> Any:
        raise StopAsyncIteration


class _Empty:
    def __getitem__(self, _name: str) -> _Nothing:
        return _Nothing()


class _Keys:
    async def find(self, key: str) -> ApiKey | None:
        return ApiKey("id", None, frozenset(Scope)) if key == KEY else None


class _Writes:
    async def perform(self, write: WriteRequest, *_args: Any) -> Any:
        raise HttpFailure(504, {"X-Triptych-Command-Id": write.command_id})

    perform_each = perform


class _Streams(Streams):
    @asynccontextmanager
    async def replay(self, since: Positions, until: Positions) -> AsyncIterator[AsyncIterator[Any]]:
        async def none() -> AsyncIterator[Any]:
            for record in list[Any]():
                yield record

        self.end()
        yield none()


class _Listeners:
    async def get(self, site_id: str, listener_id: str) -> Listener | None:
        return listener(id=listener_id, site_id=site_id)

    async def list(self, *_args: Any) -> list[Listener]:
        return []

    async def change(self, site_id: str, listener_id: str, *_args: Any) -> Listener | None:
        return await self.get(site_id, listener_id)

    pause = resume = change

    async def rotate(self, *_args: Any) -> None:
        return None

    delete = create = rotate
    get_any = get


class _Letters:
    """No dead letters: the topics do not exist."""

    def __init__(self, database: Database) -> None:
        self._marks = Marks(database)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenDeadLetters]:
        rules = ReplayRules(datetime.now(UTC), {}, frozenset(), timedelta(days=7))
        sources = {"t.commands.dead-letter": "t.commands", "t.events.dead-letter": "t.events"}
        log: Any = SimpleNamespace(find=AsyncMock(return_value=None))
        sender: Any = SimpleNamespace(send=AsyncMock(return_value=[]))
        yield OpenDeadLetters(log, self._marks, sender, sources, {}, rules)


class _Monitor:
    @asynccontextmanager
    async def fail_fast(self, _seconds: float) -> AsyncIterator[None]:
        yield


async def _ends(_partitions: Any) -> Positions:
    return {0: 5}


@asynccontextmanager
async def _following() -> AsyncIterator[None]:
    yield


def standalone_gateway(**fields: Any) -> FastAPI:
    """The application."""
    settings = GatewaySettings(**{"gateway_stream_lifetime": 0.001, "gateway_stream_heartbeat": 0.001, **fields})
    database = cast("Database", _Empty())
    streams = _Streams(settings, "events", _following, _ends)
    streams.start_at({0: 0})
    state: Any = SimpleNamespace(
        settings=settings,
        keys=_Keys(),
        limit=RateLimit(None),
        views=Views(database),
        unshown=UnshownWrites(database),
        gallery_waiters=GalleryWaiters(),
        writes=_Writes(),
        streams=streams,
        budget=Budget(settings.gateway_answers_limit),
        line_slots=LineSlots(settings.gateway_lines_requests),
    )
    app = make_app(cast("GatewayState", state), Health(), Topics("t."))
    app.state.dead_letters = LetterAccess(_Letters(database), _Monitor())
    operations = SimpleNamespace(list=_Listeners().list)
    app.state.administration = Administration(
        cast("Any", _Listeners()), DeliveryLog(database), cast("Any", operations), HealthReader(database)
    )
    return app


@dataclass
class Reply:
    """A response."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.body)


async def request(
    app: FastAPI,
    method: str,
    target: bytes,
    headers: Mapping[str, bytes] | list[tuple[str, bytes]] | None = None,
    body: bytes = b"",
) -> Reply:
    """The response to a request whose target and headers are these bytes, as the HTTP server passes them on."""
    path, _, query = target.partition(b"?")
    fields = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
    if not any(name.lower() == "authorization" for name, _ in fields):
        fields.append(("authorization", KEY.encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
        "headers": [(name.lower().encode(), value) for name, value in fields],
    }
    reply, waiting = Reply(), [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            reply.body += message.get("body", b"")

    await app(scope, receive, send)
    return reply
