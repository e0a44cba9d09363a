"""Looking up names: nobody waits for somebody else's, and a literal address needs none."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.name_server import NameServer, open_name_server
from tests.support.raw_server import open_raw_server
from tests.unit.webhooks.test_client import LOOPBACK, PLAIN
from triptych.webhooks.http.client import Client
from triptych.webhooks.http.resolver import FOUND_SECONDS, NOT_FOUND_SECONDS, STALE_SECONDS, NameNotResolved, Resolver
from triptych.webhooks.model.addresses import ForbiddenAddress

DEAD = 60


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """Knows one name, knows that another does not exist, and is silent about all others."""
    names = {"shop.example": ("127.0.0.1",), "gone.example": (), "six.example": ("::1",)}
    async with open_name_server(names) as opened:
        yield opened


async def test_a_name_is_asked_for_once_and_remembered(server: NameServer) -> None:
    now = [0.0]
    async with Resolver([server.place], clock=lambda: now[0]) as resolver:
        found = await asyncio.gather(*(resolver.addresses("shop.example", 5) for _ in range(5)))
        assert set(found) == {("127.0.0.1",)}
        asked = len(server.asked)
        now[0] += FOUND_SECONDS - 1
        await resolver.addresses("shop.example", 5)
        assert len(server.asked) == asked


async def test_what_does_not_exist_is_remembered_for_a_while(server: NameServer) -> None:
    now = [0.0]
    async with Resolver([server.place], clock=lambda: now[0]) as resolver:
        for _ in range(2):
            with pytest.raises(NameNotResolved, match=r"gone\.example"):
                await resolver.addresses("gone.example", 5)
        asked = len(server.asked)
        now[0] += NOT_FOUND_SECONDS - 1
        with pytest.raises(NameNotResolved):
            await resolver.addresses("gone.example", 5)
        assert len(server.asked) == asked


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "-", "a_b..", ".", "%31.example"])
async def test_names_that_nobody_can_be_asked_for(server: NameServer, host: str) -> None:
    async with Resolver([server.place], deadline_seconds=0.5) as resolver:
        with pytest.raises(NameNotResolved):
            await resolver.addresses(host, 5)


async def test_silence_ends_at_the_deadline(server: NameServer) -> None:
    async with Resolver([server.place], deadline_seconds=0.2) as resolver:
        with pytest.raises(NameNotResolved, match=r"0\.2 s"):
            await resolver.addresses("dead.example", 5)
        with pytest.raises(NameNotResolved, match=r"0\.1 s"):
            await resolver.addresses("dying.example", 0.1)


async def test_dead_names_delay_nobody(server: NameServer) -> None:
    async with (
        open_raw_server(PLAIN) as receiver,
        Resolver([server.place]) as resolver,
        Client(LOOPBACK, resolver, 0) as client,
    ):
        dead = [
            asyncio.create_task(client.post(f"http://shop{number}.dead.example/", {}, b"", 30))
            for number in range(DEAD)
        ]
        await asyncio.sleep(0)
        started = time.monotonic()
        for host in ("127.0.0.1", "shop.example"):
            answer = await client.post(f"http://{host}:{receiver.port}/", {}, b"", 5)
            assert answer.status == 200
        took = time.monotonic() - started
        assert not any(task.done() for task in dead)
        for task in dead:
            task.cancel()
        await asyncio.gather(*dead, return_exceptions=True)
    assert took < 1


async def test_who_was_found_once_waits_for_nobody(server: NameServer) -> None:
    now = [0.0]
    async with Resolver([server.place], at_once=2, deadline_seconds=30, clock=lambda: now[0]) as resolver:
        await resolver.addresses("shop.example", 5)
        dead = [asyncio.create_task(resolver.addresses(f"{number}.dead.example", 30)) for number in range(2)]
        now[0] += FOUND_SECONDS + 1
        assert await resolver.addresses("shop.example", 5) == ("127.0.0.1",)
        now[0] += STALE_SECONDS
        with pytest.raises(NameNotResolved):
            await resolver.addresses("shop.example", 0.1)
        for task in dead:
            task.cancel()
        await asyncio.gather(*dead, return_exceptions=True)


async def test_names_that_were_dead_before_leave_room_for_others(server: NameServer) -> None:
    now = [0.0]
    dead = [f"{number}.dead.example" for number in range(5)]
    async with Resolver([server.place], at_once=5, deadline_seconds=0.3, clock=lambda: now[0]) as resolver:
        await asyncio.gather(*(resolver.addresses(host, 5) for host in dead), return_exceptions=True)
        now[0] += NOT_FOUND_SECONDS + 1
        again = [asyncio.create_task(resolver.addresses(host, 5)) for host in dead]
        await asyncio.sleep(0)
        assert await resolver.addresses("shop.example", 0.2) == ("127.0.0.1",)
        for task in again:
            task.cancel()
        await asyncio.gather(*again, return_exceptions=True)


async def test_what_a_name_leads_to_is_checked(server: NameServer) -> None:
    async with Resolver([server.place]) as resolver, Client((), resolver, 0) as client:
        for host in ("shop.example", "six.example"):
            with pytest.raises(ForbiddenAddress):
                await client.post(f"http://{host}:9/", {}, b"", 5)


async def test_the_hosts_of_the_system_are_known() -> None:
    async with Resolver() as resolver:
        assert set(await resolver.addresses("localhost", 5)) <= {"127.0.0.1", "::1"}
