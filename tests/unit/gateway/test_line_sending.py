"""Chunks are published one after another and answered several at a time; a failure never changes the order of items."""

import asyncio

import pytest

from tests.support.fake_writes import WRITE, FakeWrites, G, chunk, sender_of, settle
from triptych.contract.codec.notices import Shown
from triptych.contract.replies import ErrorCode
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure
from triptych.gateway.lines.chunking import Chunk
from triptych.gateway.lines.sending import IN_FLIGHT, SHOWN_BEHIND, ChunkSender
from triptych.gateway.writing.read_your_writes import GalleryWaiter, Position


async def begun(writes: FakeWrites, sender: ChunkSender, first: Chunk | None = None) -> None:
    """The first chunk is sent and accepted."""
    sending = asyncio.create_task(sender.send(first or chunk(0)))
    await settle()
    writes.accept(0)
    await (await sending)


async def test_the_first_command_has_the_key_and_the_condition_and_the_others_have_names_of_their_own() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    await sender.send(chunk(1, None, 5.0))
    (first, one), (placed, two), (rest, three) = writes.sent
    assert first is WRITE
    assert (one.expected_sequence, one.to) == (4, "end")
    assert (placed.source, placed.command_id, two.expected_sequence) == ("/gateway/key/lines/1/placed", "key", None)
    assert (rest.source, rest.command_id, three.to) == ("/gateway/key/lines/1", "key", "end")
    assert [item.sort_order for item in (*two.items, *three.items)] == [5.0, None]
    assert len({write.correlation_id for write, _ in writes.sent}) == 3


async def test_a_bounded_number_of_chunks_is_on_its_way() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    tasks = [await sender.send(chunk(number)) for number in range(1, 1 + IN_FLIGHT)]
    waiting = asyncio.create_task(sender.send(chunk(9)))
    await settle()
    assert len(writes.sent) == 1 + IN_FLIGHT
    assert not waiting.done()
    writes.accept(3, 8)  # not the oldest
    assert (await tasks[2]).successes == 1
    await waiting
    assert (len(writes.sent), sender.reached) == (2 + IN_FLIGHT, 8)


async def test_a_chunk_is_published_after_kafka_has_the_one_before() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    writes.is_automatic = False
    sending = asyncio.create_task(sender.send(chunk(1)))
    await settle()
    assert not sending.done()
    assert writes.publications[1] is not None
    writes.publications[1].set_result(True)
    await sending


async def test_after_an_unpublished_chunk_nothing_more_is_published() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    writes.is_automatic = False
    sending = asyncio.create_task(sender.send(chunk(1, 5.0, None)))
    await settle()
    writes.replies[1].set_result(HttpFailure(503))
    assert writes.publications[1] is not None
    writes.publications[1].set_result(False)
    result = await (await sending)
    assert len(writes.sent) == 2
    assert (result.successes, result.failures) == (0, 2)
    assert result.rendered.count(b'"status":503') == 2
    assert sender.ending is not None
    assert sender.ending.error["code"] == "UNAVAILABLE"


async def test_a_command_without_reply_in_time_ends_the_request() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    task = await sender.send(chunk(1))
    writes.replies[1].set_result(HttpFailure(504))
    assert b'"status":504' in (await task).rendered
    assert sender.ending is not None


async def test_a_deleted_gallery_ends_the_request() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    task = await sender.send(chunk(1))
    writes.reject(1, ErrorCode.NOT_FOUND)
    assert b'"status":404' in (await task).rendered
    assert sender.ending is not None
    assert sender.ending.error["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("code", "status"),
    [(ErrorCode.NOT_FOUND, 404), (ErrorCode.SEQUENCE_CONFLICT, 412), (ErrorCode.IDEMPOTENCY_KEY_REUSED, 422)],
)
async def test_a_refusal_of_the_first_command_refuses_the_request(code: ErrorCode, status: int) -> None:
    writes = FakeWrites()
    sending = asyncio.create_task(sender_of(writes).send(chunk(0)))
    await settle()
    writes.reject(0, code)
    with pytest.raises(ApplicationFailure) as refused:
        await sending
    assert refused.value.status == status


async def test_an_unknown_outcome_of_the_first_command_names_its_key() -> None:
    writes = FakeWrites()
    sending = asyncio.create_task(sender_of(writes).send(chunk(0)))
    await settle()
    writes.replies[0].set_result(HttpFailure(503, {"Retry-After": "1"}))
    with pytest.raises(HttpFailure) as failed:
        await sending
    assert (failed.value.status, failed.value.headers["X-Triptych-Command-Id"]) == (503, "key")


async def test_one_taken_sort_order_does_not_refuse_its_neighbours() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    task = await sender.send(chunk(1, 5.0, 6.0))
    writes.reject(1, ErrorCode.ALREADY_EXISTS, field="items[1].sortOrder")
    await settle()
    assert [write.source.rpartition("/lines/")[2] for write, _ in writes.sent[2:]] == ["line/11", "line/12"]
    writes.accept(2)
    writes.reject(3, ErrorCode.ALREADY_EXISTS, field="items[0].sortOrder")
    result = await task
    assert (result.successes, result.failures, sender.ending) == (1, 1, None)
    assert b'"status":409' in result.rendered
    assert b'"field":"item.sortOrder"' in result.rendered


async def test_a_repetition_after_its_outcome_is_forgotten_creates_nothing() -> None:
    writes = FakeWrites()
    sender = sender_of(writes)
    await begun(writes, sender)
    task = await sender.send(chunk(1, 5.0, 6.0))
    writes.reject(1, ErrorCode.ALREADY_EXISTS)
    assert (await task).failures == 2
    assert len(writes.sent) == 2


async def test_the_read_model_is_never_far_behind() -> None:
    writes, waiter = FakeWrites(), GalleryWaiter()
    sender = sender_of(writes, waiter)
    await begun(writes, sender)
    for number in range(1, SHOWN_BEHIND + 1):
        await sender.keep_up()
        task = await sender.send(chunk(number))
        writes.accept(number, 1 + number)
        await task
    assert writes.awaited == []
    await sender.keep_up()
    assert writes.awaited == [Position(G, 2)]
    waiter.note(Shown(WRITE.site_id, G, 2))
    await sender.keep_up()
    assert len(writes.awaited) == 1
