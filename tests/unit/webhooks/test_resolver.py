"""Unanswered look-ups of names do not delay others, and an IP address needs no look-up."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.name_server import NameServer, open_name_server
from tests.support.raw_server import LOOPBACK, PLAIN, open_raw_server
from triptych.webhooks.http.client import Client
from triptych.webhooks.http.resolver import FOUND_SECONDS, NOT_FOUND_SECONDS, STALE_SECONDS, NameNotResolved, Resolver
from triptych.webhooks.model.addresses import ForbiddenAddress

DEAD = 60


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """Knows two names, knows that a third does not exist, and does not answer for any other."""
    names = {"shop.example": ("127.0.0.1",), "gone.example": (), "six.example": ("::1",)}
    async with open_name_server(names) as opened:
        yield opened


async def test_a_name_is_looked_up_once_and_cached(server: NameServer) -> None:
    now = [0.0]
    async with Resolver([server.address], clock=lambda: now[0]) as resolver:
        found = await asyncio.gather(*(resolver.addresses("shop.example", 5) for _ in range(5)))
        assert set(found) == {("127.0.0.1",)}
        asked = len(server.asked)
        now[0] += FOUND_SECONDS - 1
        await resolver.addresses("shop.example", 5)
        assert len(server.asked) == asked


async def test_a_missing_name_is_cached_for_a_while(server: NameServer) -> None:
    now = [0.0]
    async with Resolver([server.address], clock=lambda: now[0]) as resolver:
        for _ in range(2):
            with pytest.raises(NameNotResolved, match=r"gone\.example"):
                await resolver.addresses("gone.example", 5)
        asked = len(server.asked)
        now[0] += NOT_FOUND_SECONDS - 1
        with pytest.raises(NameNotResolved):
            await resolver.addresses("gone.example", 5)
        assert len(server.asked) == asked


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "-", "a_b..", ".", "%31.example"])
async def test_names_that_cannot_be_looked_up(server: NameServer, host: str) -> None:
    async with Resolver([server.address], deadline_seconds=0.5) as resolver:
        with pytest.raises(NameNotResolved):
            await resolver.addresses(host, 5)


async def test_an_unanswered_look_up_ends_at_the_deadline(server: NameServer) -> None:
    async with Resolver([server.address], deadline_seconds=0.2) as resolver:
        with pytest.raises(NameNotResolved, match=r"0\.2 s"):
            await resolver.addresses("dead.example", 5)
        with pytest.raises(NameNotResolved, match=r"0\.1 s"):
            await resolver.addresses("dying.example", 0.1)


async def test_unanswered_names_delay_no_other(server: NameServer) -> None:
    async with (
        open_raw_server(PLAIN) as receiver,
        Resolver([server.address]) as resolver,
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


async def test_a_name_found_once_does_not_wait_for_others(server: NameServer) -> None:
    now = [0.0]
    async with Resolver([server.address], at_once=2, deadline_seconds=30, clock=lambda: now[0]) as resolver:
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


async def test_names_that_were_unanswered_before_leave_slots_for_others(server: NameServer) -> None:
    now = [0.0]
    dead = [f"{number}.dead.example" for number in range(5)]
    async with Resolver([server.address], at_once=5, deadline_seconds=0.3, clock=lambda: now[0]) as resolver:
        await asyncio.gather(*(resolver.addresses(host, 5) for host in dead), return_exceptions=True)
        now[0] += NOT_FOUND_SECONDS + 1
        again = [asyncio.create_task(resolver.addresses(host, 5)) for host in dead]
        await asyncio.sleep(0)
        assert await resolver.addresses("shop.example", 0.2) == ("127.0.0.1",)
        for task in again:
            task.cancel()
        await asyncio.gather(*again, return_exceptions=True)


async def test_the_addresses_of_a_name_are_checked(server: NameServer) -> None:
    async with Resolver([server.address]) as resolver, Client((), resolver, 0) as client:
        for host in ("shop.example", "six.example"):
            with pytest.raises(ForbiddenAddress):
                await client.post(f"http://{host}:9/", {}, b"", 5)


async def test_the_hosts_file_of_the_system_is_read() -> None:
    async with Resolver() as resolver:
        assert set(await resolver.addresses("localhost", 5)) <= {"127.0.0.1", "::1"}
