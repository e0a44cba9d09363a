"""One command is sent until it is answered or its deadline is over, with fakes of Kafka."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from triptych.client import CommandRejected, NoReply
from triptych.client.commands import asking
from triptych.client.commands.asking import ask
from triptych.client.commands.replies import Replies
from triptych.contract.replies import ErrorCode, Reply, ReplyError

KEY = b"correlation"
ACCEPTED = Reply(command_id="c", outcome="accepted", gallery_id="g", sequence=3)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(asking, "FAILURE_PAUSE_SECONDS", 0.01)


class Kafka:
    """Takes commands; each step says what happens to one of them, and the last step is repeated."""

    def __init__(self, *steps: Callable[[], Awaitable[None] | None]) -> None:
        self.replies = Replies(lambda: None)
        self.steps = list(steps)
        self.count = 0

    async def publish(self) -> None:
        step = self.steps[min(self.count, len(self.steps) - 1)]
        self.count += 1
        if (waiting := step()) is not None:
            await waiting

    def reply(self, reply: Reply, key: bytes = KEY) -> None:
        self.replies._receive(key, reply.to_json())

    async def ask(self, deadline: float = 5.0) -> Reply:
        return await ask(self.replies, KEY, self.publish, command_id="c", deadline=deadline)


def lose() -> None:
    """Take the command; its reply is lost."""


def fail() -> None:
    raise KafkaTimeoutError


async def test_a_lost_reply_is_asked_for_again() -> None:
    kafka = Kafka(lose, lose, lambda: kafka.reply(ACCEPTED))
    assert await kafka.ask() == ACCEPTED
    assert kafka.count == 3


async def test_a_command_that_kafka_does_not_take_is_sent_again() -> None:
    kafka = Kafka(fail, lambda: kafka.reply(ACCEPTED))
    assert await kafka.ask() == ACCEPTED


async def test_a_reply_counts_even_if_kafka_did_not_acknowledge_the_command() -> None:
    async def hang() -> None:
        kafka.reply(ACCEPTED)
        await asyncio.sleep(60)

    kafka = Kafka(hang)
    assert await kafka.ask() == ACCEPTED


async def test_replies_to_others_and_unreadable_ones_are_not_taken() -> None:
    def answer() -> None:
        kafka.reply(ACCEPTED.model_copy(update={"sequence": 9}), b"another")
        kafka.replies._receive(None, b"{}")
        kafka.replies._receive(KEY, b"no reply")
        kafka.reply(ACCEPTED)
        kafka.reply(ACCEPTED)

    kafka = Kafka(answer)
    assert await kafka.ask() == ACCEPTED


async def test_a_refusal_is_raised_with_its_reason() -> None:
    error = ReplyError(code=ErrorCode.SEQUENCE_CONFLICT, message="no", data={"sequence": 7})
    kafka = Kafka(lambda: kafka.reply(Reply(command_id="c", outcome="rejected", error=error)))
    with pytest.raises(CommandRejected, match="SEQUENCE_CONFLICT: no") as refused:
        await kafka.ask()
    assert (refused.value.code, refused.value.data) == (ErrorCode.SEQUENCE_CONFLICT, {"sequence": 7})


async def test_without_a_reply_the_error_says_how_far_the_command_came() -> None:
    with pytest.raises(NoReply, match=r"command c: no reply within 0.05 s; is the command service running\?") as sent:
        await Kafka(lose).ask(0.05)
    assert sent.value.acknowledged
    with pytest.raises(NoReply, match=r"Kafka has not acknowledged it within 0.05 s: KafkaTimeoutError") as unsent:
        await Kafka(fail).ask(0.05)
    assert not unsent.value.acknowledged
    unread = Kafka(lose)
    unread.replies.problem = OSError("broken")
    with pytest.raises(NoReply, match="replies cannot be read: OSError"):
        await unread.ask(0.05)


async def test_a_command_that_kafka_will_never_take_is_refused_at_once() -> None:
    def refuse() -> None:
        raise MessageSizeTooLargeError

    with pytest.raises(CommandRejected, match="1 MiB compressed") as refused:
        await Kafka(refuse).ask(60)
    assert refused.value.code == ErrorCode.INVALID_ARGUMENT


async def test_a_fault_of_the_client_is_not_taken_for_silence() -> None:
    def break_() -> None:
        raise AssertionError("a fault")

    with pytest.raises(AssertionError, match="a fault"):
        await Kafka(break_).ask(60)


async def test_a_call_that_still_waits_at_the_end_says_so() -> None:
    kafka = Kafka(lose)
    asked = asyncio.create_task(kafka.ask(60))
    while kafka.count == 0:
        await asyncio.sleep(0)
    await kafka.replies.close()
    with pytest.raises(NoReply, match="closed before the reply came"):
        await asked


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    kafka = Kafka(lose)
    asked = asyncio.create_task(kafka.ask(60))
    while kafka.count == 0:
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    count = kafka.count
    await asyncio.sleep(0.05)
    assert kafka.count == count
    assert not kafka.replies._waiting
