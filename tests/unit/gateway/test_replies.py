"""Replies reach the requests that wait for them."""

import asyncio

import pytest

from triptych.contract.replies import Reply
from triptych.gateway.writing.replies import ReplyWaiters

ACCEPTED = Reply(command_id="c", outcome="accepted", gallery_id="49fbb84b-52a6-46d3-896c-ebf52f06c0df", sequence=3)


async def test_a_reply_reaches_the_request_that_it_answers() -> None:
    replies = ReplyWaiters()
    with replies.expect("one") as one, replies.expect("two") as two:
        replies.receive(b"two", ACCEPTED.to_json())
        replies.receive(b"somebody else's", ACCEPTED.to_json())
        replies.receive(None, None)
        assert await two == ACCEPTED
        assert not one.done()


async def test_a_repeated_reply_is_ignored() -> None:
    replies = ReplyWaiters()
    with replies.expect("one") as one:
        replies.receive(b"one", ACCEPTED.to_json())
        replies.receive(b"one", ACCEPTED.model_copy(update={"sequence": 9}).to_json())
        assert (await one).sequence == 3


async def test_a_reply_that_cannot_be_read_is_ignored() -> None:
    replies = ReplyWaiters()
    with replies.expect("one") as one:
        for value in (None, b"{}", b"\xff"):
            replies.receive(b"one", value)
        assert not one.done()


async def test_a_cancelled_request_waits_no_longer() -> None:
    replies = ReplyWaiters()

    async def give_up() -> None:
        with replies.expect("one") as future:
            await future

    request = asyncio.create_task(give_up())
    await asyncio.sleep(0)
    assert len(replies) == 1
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert len(replies) == 0
