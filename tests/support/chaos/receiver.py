"""Receivers of webhooks that fail and stall at random, one for each site, and one at a forbidden address."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import orjson
from aiohttp import web

from tests.support.chaos.history import Delivery
from tests.support.chaos.recording import Recording
from tests.support.chaos.watch import Watch
from tests.support.chaos.workload import SITES
from tests.support.installation import Installation
from tests.support.receiver import Receiver, hang, open_receiver, reset, status
from tests.support.relay import ALL_TYPES, RETENTION, relay_settings
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.store.listeners import ListenerRepository
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

FORBIDDEN = "127.0.0.2"
"""On this machine, but outside of the networks to which the relay may deliver."""
ALLOWED = "127.0.0.1/32"
RETRY_DELAYS = [0.2, 0.5, 1.0, 2.0, 4.0, 8.0]
TIMEOUT_SECONDS = 10.0
"""More than a busy machine needs: the relay leaves a receiver that is late alone for a while."""
FORBIDDEN_PATH = "/forbidden"
FAILING = 0.05
"""The share of requests that fail."""
REST_SECONDS = 20.0
"""Between two timeouts or 429s. The relay leaves a receiver alone after each of them: if a share of all requests ended
so, the deliveries of a fast installation would wait longer and longer."""


class Receivers:
    """Answers requests, and notes them in a recording."""

    def __init__(self, receiver: Receiver, recording: Recording, chance: random.Random) -> None:
        self.receiver = receiver
        self.listeners: dict[str, str] = {}
        """The id of the listener of each site."""
        self.forbidden_calls = 0
        self._recording = recording
        self._chance = chance
        self._are_healed = False
        self._next_rest = 0.0
        self._watch: Watch | None = None
        receiver.usual = self._behave
        receiver.is_keeping = False

    async def _behave(self, request: web.Request) -> web.StreamResponse:
        has_succeeded = self._are_healed or self._chance.random() >= FAILING
        site, event = request.path.removeprefix("/"), request.headers["webhook-id"]
        value = orjson.loads(await request.read())["data"]
        self._recording.add_delivery(site, event, value, has_succeeded=has_succeeded)
        if has_succeeded:
            if self._watch is not None:
                self._watch.see_delivery(value)
            return await status(200)(request)
        failures = [status(500), reset]
        if (now := time.monotonic()) >= self._next_rest:
            self._next_rest = now + REST_SECONDS
            failures = [status(429), hang]
        return await self._chance.choice(failures)(request)

    def seen_by(self, watch: Watch) -> None:
        """Show this watch what is delivered from now on."""
        self._watch = watch

    def heal(self) -> None:
        """From now on, accept every request."""
        self._are_healed = True

    def forbidden(self) -> list[Delivery]:
        """Calls of the forbidden address."""
        return [Delivery("", "something", {}, has_succeeded=False, is_allowed=False)] * self.forbidden_calls

    async def subscribe(self, installation: Installation) -> None:
        """A listener to all events for each site, and one with a forbidden address."""
        await ensure_indexes(installation.database, INDEXES)
        sealer = make_sealer(relay_settings(installation))
        listeners = ListenerRepository(installation.database, sealer, RETENTION)
        for site in SITES:
            sent = {"eventTypes": ALL_TYPES, "retryDelays": RETRY_DELAYS, "timeoutSeconds": TIMEOUT_SECONDS}
            url = self.receiver.url(f"/{site}")
            created = await listeners.create(site, NewListener.model_validate({**sent, "url": url}))
            self.listeners[site] = created.listener.id
            forbidden = self.receiver.url(FORBIDDEN_PATH, FORBIDDEN)
            few = {**sent, "url": forbidden, "eventTypes": ALL_TYPES[:1], "retryDelays": []}
            await listeners.create(site, NewListener.model_validate(few))

    async def _count_call(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.forbidden_calls += 1
        writer.close()


@contextlib.asynccontextmanager
async def open_receivers(
    installation: Installation, recording: Recording, chance: random.Random
) -> AsyncIterator[Receivers]:
    """Receivers whose listeners exist."""
    async with open_receiver() as receiver:
        made = Receivers(receiver, recording, chance)
        server = await asyncio.start_server(made._count_call, FORBIDDEN, receiver.port)
        async with server:
            await made.subscribe(installation)
            yield made
