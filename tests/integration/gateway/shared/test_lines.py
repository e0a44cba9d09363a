"""Items by the thousand over HTTP: lines are read as a stream, sent in chunks, and answered line by line."""

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.backend import Backend
from tests.support.gateway import GALLERIES, KEY, RunningGateway, StartGateway, shared
from tests.support.waiting import eventually
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import CreateItems
from triptych.contract.identity import derived_item_id
from triptych.contract.replies import ErrorCode, Reply, ReplyError

pytestmark = shared("lines of the gateway")
LINES = {"Content-Type": "application/x-ndjson"}
ITEM = {"text": {"html": "x"}}


def body_of(count: int, first: int = 1) -> bytes:
    return b"".join(b'{"title":"%d","text":{"html":"x"}}\n' % number for number in range(first, first + count))


async def gallery(backend: Backend) -> tuple[str, str]:
    """The id of a gallery, and the path of its lines."""
    gallery_id = str(uuid.uuid4())
    await backend.store(gallery_id, 1)
    return gallery_id, f"{GALLERIES}/{gallery_id}/items/bulk/lines"


async def accept(backend: Backend, command: CommandEnvelope, sequence: int) -> list[str]:
    """Accept a chunk as the command service does; gives the ids of its items."""
    assert isinstance(command.data, CreateItems)
    ids = [
        derived_item_id(command.site_id, command.command_id, index, command.source)
        for index in range(len(command.data.items))
    ]
    await backend.accept(command, command.data.gallery_id, sequence, *ids)
    return ids


def titles(command: CommandEnvelope) -> list[str | None]:
    assert isinstance(command.data, CreateItems)
    return [item.title for item in command.data.items]


def results(content: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of the lines, and the last line."""
    *found, last = [json.loads(line) for line in content.splitlines()]
    return found, last


async def test_each_line_has_its_result_in_order_whatever_its_neighbours_are(
    gateway: RunningGateway, backend: Backend
) -> None:
    gallery_id, path = await gallery(backend)
    odd = [b"{", b"", b"\xff", b'{"title":7,"text":{"html":"x"}}', b"  ", b"x" * (1024 * 1024 + 1), b"[]"]
    body = body_of(2) + b"\n".join(odd) + b"\n" + body_of(600, 10)
    posting = asyncio.create_task(
        gateway.client.post(path, content=gzip.compress(body), headers={**LINES, "Content-Encoding": "gzip"})
    )
    first = await backend.next_command()
    assert (titles(first)[:3], first.data.to_wire()["to"]) == (["1", "2", "10"], "end")
    ids = await accept(backend, first, 3)
    second = await backend.next_command()
    ids += await accept(backend, second, 700)
    await backend.store(gallery_id, 700)
    await backend.tell(second, gallery_id, 700)
    answer = await posting
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    found, last = results(answer.content)
    assert [one["line"] for one in found] == [1, 2, 3, 5, 6, 8, 9, *range(10, 610)]
    assert [one["id"] for one in found if one["status"] == 200] == ids
    refused = {
        one["line"]: one["details"]["validationError"]["fieldViolations"] for one in found if one["status"] != 200
    }
    fields = {number: (one["field"], one["violatedRule"]) for number, (one, *_) in refused.items()}
    assert fields == {
        3: ("item", "FORMAT"),
        5: ("item", "FORMAT"),
        6: ("item.title", "FORMAT"),
        8: ("item", "MAX_SIZE"),
        9: ("item", "FORMAT"),
    }
    assert last == {
        "bulkActionMetadata": {"totalSuccesses": 602, "totalFailures": 5},
        "isComplete": True,
        "isShown": True,
        "position": f"{gallery_id}:700",
    }
    gateway.assert_nothing_waits()


async def test_results_come_while_the_request_is_still_sent(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, path = await gallery(backend)
    go_on = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield body_of(700)
        await go_on.wait()
        yield body_of(1, 701)

    async def answer() -> None:
        for sequence in (501, 702):
            await accept(backend, await backend.next_command(), sequence)
        await backend.store(gallery_id, 702)

    answering = asyncio.create_task(answer())
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(_head(path, b"Transfer-Encoding: chunked"))
    pieces = content()
    piece = await anext(pieces)
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    received = await asyncio.wait_for(reader.readuntil(b'"line":500,'), 20)
    assert received.startswith(b"HTTP/1.1 200 ")
    go_on.set()
    piece = await anext(pieces)
    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(piece), piece))
    received = await asyncio.wait_for(reader.readuntil(b'"isComplete":true'), 20)
    assert received.count(b'"status":200') == 202
    writer.close()
    await answering


async def test_an_interrupted_request_can_be_repeated(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, path = await gallery(backend)
    body = body_of(700)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(_head(path, b"Content-Length: %d" % len(body), b"Idempotency-Key: import-1") + body[:-5])
    cut = await backend.next_command()
    writer.transport.abort()
    await accept(backend, cut, 501)

    async def nothing_waits() -> bool:
        return not len(gateway.state.writes.replies) and not len(gateway.state.gallery_waiters)

    await eventually(nothing_waits, "the interrupted request has ended", deadline_seconds=20)
    posting = asyncio.create_task(
        gateway.client.post(path, content=body, headers={**LINES, "Idempotency-Key": "import-1"})
    )
    # The interrupted request has sent no incomplete chunk: this is the next command.
    again = await backend.next_command()
    assert (again.command_id, again.source, again.data) == (cut.command_id, cut.source, cut.data)
    ids = await accept(backend, again, 501)
    rest = await backend.next_command()
    assert titles(rest) == [str(number) for number in range(501, 701)]
    ids += await accept(backend, rest, 701)
    await backend.store(gallery_id, 701)
    found, last = results((await posting).content)
    assert [one["id"] for one in found] == ids
    assert last["isComplete"]


async def test_a_gallery_that_is_deleted_meanwhile_ends_the_response(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, path = await gallery(backend)
    posting = asyncio.create_task(gateway.client.post(path, content=body_of(501), headers=LINES))
    await accept(backend, await backend.next_command(), 501)
    second = await backend.next_command()
    error = ReplyError(code=ErrorCode.NOT_FOUND, message="gallery not found", data={"galleryId": gallery_id})
    await backend.answer(second, Reply(command_id=second.command_id, outcome="rejected", error=error))
    await backend.store(gallery_id, 501)
    found, last = results((await posting).content)
    assert [one["status"] for one in found] == [200] * 500 + [404]
    assert found[-1]["message"] == "gallery not found"
    assert (last["isComplete"], last["error"]["code"]) == (False, "NOT_FOUND")


@pytest.mark.parametrize("code", [ErrorCode.IDEMPOTENCY_KEY_REUSED, ErrorCode.SEQUENCE_CONFLICT])
async def test_a_refusal_of_the_first_chunk_is_the_answer(
    gateway: RunningGateway, backend: Backend, code: ErrorCode
) -> None:
    _, path = await gallery(backend)
    posting = asyncio.create_task(gateway.client.post(path, content=body_of(501), headers=LINES))
    command = await backend.next_command()
    error = ReplyError(code=code, message="no")
    await backend.answer(command, Reply(command_id=command.command_id, outcome="rejected", error=error))
    answer = await posting
    assert answer.status_code == (422 if code is ErrorCode.IDEMPOTENCY_KEY_REUSED else 412)
    assert answer.json()["details"]["applicationError"]["code"] == code.value


async def test_a_missing_gallery_is_noticed_before_anything_is_read(gateway: RunningGateway) -> None:
    path = f"{GALLERIES}/{uuid.uuid4()}/items/bulk/lines"
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(_head(path, b"Content-Length: 1000000"))
    assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 404 ")
    writer.close()


async def test_requests_that_are_refused_as_a_whole(gateway: RunningGateway, backend: Backend) -> None:
    _, path = await gallery(backend)
    for content, headers, status in [
        (body_of(1), {"Content-Type": "application/json"}, 415),
        (body_of(1), {"Content-Type": ""}, 415),
        (body_of(1), {**LINES, "Content-Encoding": "br"}, 415),
        (body_of(1), {**LINES, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(body_of(1))[:-9], {**LINES, "Content-Encoding": "gzip"}, 400),
        (b"", LINES, 400),
        (b"\n \n", LINES, 400),
        (body_of(1), {**LINES, "Idempotency-Key": "x" * 251}, 400),
        (body_of(1), {**LINES, "Authorization": "stranger"}, 401),
    ]:
        answer = await gateway.client.post(path, content=content, headers=headers)
        assert answer.status_code == status, (content, headers, answer.text)
        assert answer.json()["message"]
    assert (await gateway.client.post(f"{path}?dryRun=1", content=body_of(1), headers=LINES)).status_code == 400
    # Lines that are all refused are results, not a failure.
    found, last = results((await gateway.client.post(path, content=b"{}\n", headers=LINES)).content)
    assert (found[0]["status"], last["isComplete"], last["isShown"]) == (400, True, True)
    gateway.assert_nothing_waits()


async def test_bounds_of_a_request(start_gateway: StartGateway, backend: Backend) -> None:
    limits = {"gateway_lines_count": 600, "gateway_lines_bytes": 50_000, "gateway_lines_requests": 1}
    async with start_gateway(**limits, gateway_view_timeout=0.1) as small:
        _, path = await gallery(backend)

        async def post(content: bytes | AsyncIterator[bytes]) -> Any:
            return await small.client.post(path, content=content, headers=LINES)

        assert (await post(b" " * 50_001)).status_code == 413
        posting = asyncio.create_task(post(body_of(700)))
        first = await backend.next_command()
        assert (await post(body_of(1))).status_code == 429
        await accept(backend, first, 501)
        second = await backend.next_command()
        assert titles(second)[-1] == "600"
        await accept(backend, second, 601)
        found, last = results((await posting).content)
        assert (len(found), last["isComplete"], last["isShown"]) == (600, False, False)
        assert (last["error"]["code"], last["error"]["data"]) == ("RESOURCE_EXHAUSTED", {"threshold": 600})

        async def without_length() -> AsyncIterator[bytes]:
            yield body_of(500)
            for _ in range(50):
                yield b" " * 1_000

        posting = asyncio.create_task(post(without_length()))
        await accept(backend, await backend.next_command(), 501)
        found, last = results((await posting).content)
        assert (len(found), last["error"]["data"]) == (500, {"threshold": 50_000})


async def test_requests_and_chunks_that_nobody_answers(start_gateway: StartGateway, backend: Backend) -> None:
    """Their outcome is not known. The timeout leaves a busy machine the time for the one answer that is given."""
    async with start_gateway(gateway_reply_timeout=3.0, gateway_view_timeout=0.1) as hasty:
        _, path = await gallery(backend)
        whole = asyncio.create_task(hasty.client.post(path, content=body_of(1), headers=LINES))
        await backend.next_command()
        chunked = asyncio.create_task(hasty.client.post(path, content=body_of(510), headers=LINES))
        await accept(backend, await backend.next_command(), 501)
        await backend.next_command()
        answer = await whole
        assert (answer.status_code, bool(answer.headers["X-Triptych-Command-Id"])) == (504, True)
        found, last = results((await chunked).content)
        assert [one["status"] for one in found] == [200] * 500 + [504] * 10
        assert (last["isComplete"], last["error"]["code"]) == (False, "UNAVAILABLE")


def _head(path: str, *fields: bytes) -> bytes:
    fixed = (b"Host: test", b"Authorization: " + KEY.encode(), b"Content-Type: application/x-ndjson")
    return b"POST %b HTTP/1.1\r\n%b\r\n\r\n" % (path.encode(), b"\r\n".join((*fixed, *fields)))
