"""Sending the commands of concurrent requests together."""

import asyncio
from collections.abc import Sequence

import pytest

from triptych.contract.codec.envelope import Message
from triptych.gateway.writing.command_sender import CommandSender, TooLarge
from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher


class Post(Publisher):
    """Takes records when the test lets it; refuses large ones as Kafka does."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.groups: list[list[bytes | None]] = []
        self.failure: Exception | None = None

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        self.groups.append([record.value for record in records])
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        if large := [position for position, record in enumerate(records) if record.value == b"large"]:
            raise RecordTooLarge("refused", large)


def command(value: bytes) -> Message:
    return Message(b"gallery", value, ())


async def started(sender: CommandSender, *values: bytes) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.create_task(sender.send("commands", command(value))) for value in values]
    for _ in range(3):  # each task to its wait, then the lane to its own
        await asyncio.sleep(0)
    return tasks


async def test_what_arrives_during_a_round_trip_goes_out_in_the_next_in_order() -> None:
    post = Post()
    sender = CommandSender(post)
    tasks = await started(sender, b"1")
    tasks += await started(sender, b"2", b"3")
    post.open.set()
    await asyncio.gather(*tasks)
    assert post.groups == [[b"1"], [b"2", b"3"]]
    await sender.close()


async def test_a_command_too_large_does_not_harm_its_neighbours() -> None:
    post = Post()
    sender = CommandSender(post)
    tasks = await started(sender, b"1")
    tasks += await started(sender, b"2", b"large", b"3")
    post.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), TooLarge, type(None)]


@pytest.mark.parametrize("failure", [TransientFailure("Kafka is away"), RuntimeError("a fault")])
async def test_a_failure_reaches_every_request_and_the_lane_goes_on(failure: Exception) -> None:
    post = Post()
    post.open.set()
    post.failure = failure
    sender = CommandSender(post)
    outcomes = await asyncio.gather(*(sender.send("commands", command(b"1")) for _ in range(3)), return_exceptions=True)
    assert outcomes == [failure] * 3
    post.failure = None
    await sender.send("commands", command(b"2"))


async def test_the_command_of_a_request_that_gave_up_is_not_sent() -> None:
    post = Post()
    sender = CommandSender(post)
    tasks = await started(sender, b"1")
    tasks += await started(sender, b"2", b"3")
    tasks[1].cancel()
    post.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert post.groups == [[b"1"], [b"3"]]
