"""The HTTP server against clients that send too much, too slowly, nothing, or too many at a time."""

import asyncio
import socket
import time

import pytest

from tests.support.http_serving import BOUNDS, GET, MEGABYTE, App, Running, read_answers, serving
from tests.support.waiting import eventually
from triptych.devstack.ports import free_ports
from triptych.kit.process.http_bounds import Connections
from triptych.kit.process.http_server import make_server
from triptych.kit.process.settings import KitSettings


async def test_until_it_opens_a_client_is_refused_at_once_and_the_port_is_taken() -> None:
    (port,) = free_ports(1)
    may_open, opened = asyncio.Event(), asyncio.Event()

    async def opening() -> None:
        opened.set()
        await may_open.wait()

    server = make_server(App(), BOUNDS, host="127.0.0.1", port=port, graceful_seconds=1, opening=opening)
    task = asyncio.create_task(server.serve())
    try:
        await opened.wait()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        with socket.socket() as another, pytest.raises(OSError, match="in use"):
            another.bind(("127.0.0.1", port))
        may_open.set()
        await eventually(lambda: asyncio.sleep(0, server.started), "the server runs")
        assert b"200 OK" in await Running(server, App(), port).ask(GET, count=1)
    finally:
        may_open.set()
        server.should_exit = True
        await task


async def test_ordinary_requests_are_answered() -> None:
    chunked = b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving() as running:
        # Requests in sequence on one connection, several in one packet, and a body in chunks of one byte.
        answers = await running.ask(
            GET * 3, b"POST /x HTTP/1.1\r\ncontent-length: 9\r\n\r\n123", b"456789" + GET, count=5
        )
        assert answers.count(b"200 OK") == 5
        assert answers.count(b"9.") == 1
        assert b"30000." in await running.ask(chunked + b"1\r\nx\r\n" * 30_000 + b"0\r\nlast: 1\r\n\r\n", count=1)
        sent = b"POST /x HTTP/1.1\r\ncontent-length: 3000000\r\n\r\n"
        assert b"3000000." in await running.ask(sent, bytes(3_000_000), count=1)
        await eventually(lambda: asyncio.sleep(0, running.connections == 0), "all are closed")


async def test_another_protocol_is_not_taken_up_and_the_request_is_answered() -> None:
    async with serving() as running:
        answer = await running.ask(b"GET /x HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
        assert (answer.count(b"200 OK"), answer.count(b"connection: close")) == (1, 1)


def test_a_head_holds_the_ids_of_the_largest_deletion() -> None:
    bounds, query = KitSettings().http_bounds(), 1_000 * len(f"itemsIds={'0' * 36}&")
    assert query + 10_000 < bounds.head_bytes


@pytest.mark.parametrize(
    "head",
    [
        [b"GET /" + b"x" * 1_000] + [b"x" * 1_000] * 10_000,
        [b"GET / HTTP/1.1\r\n"] + [b"a: b\r\n"] * 10_000,
        [b"GET / HTTP/1.1\r\na: "] + [b"x" * 1_000] * 10_000,
        [b"GET / HTTP/1.1\r\n" + b"x" * 1_000] + [b"x" * 1_000] * 10_000,
        [b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 9_000 + b"\r\n\r\n"],
        [GET, b"GET / HTTP/1.1\r\na: "] + [b"x" * 1_000] * 10_000,
        [b"POST /wait HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: "] + [b"x" * 1_000] * 10_000,
        [b"POST /wait HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"] + [b"a: b\r\n"] * 10_000,
        [b"POST /wait HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;"] + [b"x" * 1_000] * 10_000,
    ],
    ids=["target", "fields", "value", "name", "whole", "later", "trailer", "trailers", "extension"],
)
async def test_heads_and_framing_are_bounded(head: list[bytes]) -> None:
    async with serving() as running:
        # As fast as possible, so that bytes that are not refused would fill memory.
        answer = await running.ask(*head)
        assert answer.count(b" 431 ") == 1
        assert b'{"message":"the head' in answer


async def test_a_slow_head_and_a_slow_body_end() -> None:
    async with serving(head_seconds=0.2, body_seconds=0.2) as running:
        assert await running.ask() == b""
        for unfinished in (b"GET /x HT", b"POST /x HTTP/1.1\r\ncontent-length: 10\r\n\r\n123"):
            assert (await running.ask(unfinished)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        # A slow response is no fault of the client.
        waiting = asyncio.create_task(running.ask(b"GET /wait HTTP/1.1\r\n\r\n", count=1))
        for unfinished in (b"GET /x HT", b"POST /x HTTP/1.1\r\ncontent-length: 10\r\n\r\n123"):
            assert await running.ask(unfinished)  # each takes as long as a client may
        running.app.go.set()
        assert b"200 OK" in await waiting


async def test_a_long_body_may_take_its_time_as_long_as_it_goes_on() -> None:
    async with serving(body_seconds=0.3) as running:
        reader, writer = await running.connect()
        writer.write(b"POST /duplex HTTP/1.1\r\ncontent-length: 9\r\n\r\n")
        started = time.monotonic()
        for _ in range(8):
            writer.write(b"x")
            await asyncio.sleep(0.1)  # the time that the client takes is what this is about
        writer.write(b"x")
        assert b"end." in await read_answers(reader, count=1)
        assert time.monotonic() - started > 0.6
        writer.close()
        # Without the rest of the body it ends, though its response has begun.
        reader, writer = await running.connect()
        writer.write(b"POST /duplex HTTP/1.1\r\ncontent-length: 9\r\n\r\nx")
        assert b"end." not in await read_answers(reader)
        writer.close()


async def test_a_client_of_a_long_body_may_send_all_of_it_before_it_receives_anything() -> None:
    async with serving(write_seconds=0.2, body_seconds=2.0) as running:
        running.app.echo = 20 * MEGABYTE
        reader, writer = await running.connect()
        writer.write(b"POST /duplex HTTP/1.1\r\ncontent-length: 3\r\n\r\nx")
        await asyncio.sleep(0.5)  # longer than a client may take to receive an ordinary response
        writer.write(b"xx")
        async with asyncio.timeout(20):
            while block := await reader.read(MEGABYTE):
                if b"end." in block:
                    break
        assert b"end." in block
        writer.close()
        # Afterwards, and if it does not go on, it has to receive.
        for rest in (b"xx", b""):
            reader, writer = await running.connect()
            writer.write(b"POST /duplex HTTP/1.1\r\ncontent-length: 3\r\n\r\nx" + rest)

            async def is_closed() -> bool:
                return running.connections == 0

            await eventually(is_closed, "the connection is closed", deadline_seconds=10)
            writer.close()


async def test_a_drop_now_and_then_does_not_prolong_a_head() -> None:
    async with serving(head_seconds=0.3) as running:
        reader, writer = await running.connect()
        writer.write(b"GET /x HTTP/1.1\r\na: ")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        try:
            assert b" 408 " in await read_answers(reader)
        finally:
            dripping.cancel()
            writer.close()


async def test_an_idle_connection_ends() -> None:
    async with serving(idle_seconds=0.2) as running:
        answer = await running.ask(GET)
        assert (answer.count(b"200 OK"), answer.count(b"408")) == (1, 0)


async def test_idle_connections_keep_nobody_out() -> None:
    async with serving(connections=20) as running:
        silent = [await running.connect() for _ in range(200)]
        silent[-1][1].write(b"GET /unfinished")
        assert b"200 OK" in await running.ask(GET, count=1)
        assert running.connections <= 21
        for _, writer in silent:
            writer.close()


async def test_busy_connections_are_bounded_in_all_and_by_address() -> None:
    for bounds in ({"connections": 5}, {"connections_per_address": 5}):
        async with serving(**bounds) as running:
            busy = [asyncio.create_task(running.ask(b"GET /wait HTTP/1.1\r\n\r\n", count=1)) for _ in range(5)]
            await eventually(running.app.is_full, "five are busy")
            refused = await running.ask()
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in refused
            running.app.go.set()
            assert all(b"200 OK" in answer for answer in await asyncio.gather(*busy))


async def test_requests_sent_ahead_are_bounded() -> None:
    async with serving() as running:
        # The connection closes without any response: it could be mistaken for that of another request.
        assert await running.ask(b"GET /wait HTTP/1.1\r\n\r\n" + GET * 5_000) == b""
        assert running.app.running <= 1


async def test_a_client_that_does_not_read_is_given_up() -> None:
    async with serving(write_seconds=0.2) as running:
        _, writer = await running.connect()
        writer.write(b"GET /big HTTP/1.1\r\n\r\n")
        await eventually(lambda: asyncio.sleep(0, running.app.running == 1), "the response is in progress")
        await eventually(lambda: asyncio.sleep(0, running.connections == 0), "the connection is closed")
        await eventually(lambda: asyncio.sleep(0, running.app.running == 0), "the response is given up")
        writer.close()


class _Peer:
    def __init__(self, address: str) -> None:
        self.address = address
        self.gave_way = False

    def give_way(self) -> None:
        self.gave_way = True


def test_slots_of_one_address_and_of_all() -> None:
    connections = Connections(3, 2)
    first, second, third, other, late = (_Peer(name) for name in ("a", "a", "a", "b", "c"))
    assert all(connections.admit(peer) for peer in (first, second, other))
    connections.mark_busy(first)
    assert connections.admit(third)  # instead of the second one, which is idle
    assert (first.gave_way, second.gave_way, len(connections)) == (False, True, 3)
    assert connections.admit(late)  # instead of the one that is idle longest
    assert (other.gave_way, third.gave_way) == (True, False)
    for peer in (third, late):
        connections.mark_busy(peer)
    assert not connections.admit(_Peer("d"))
    connections.remove(first)
    assert connections.admit(_Peer("d"))
