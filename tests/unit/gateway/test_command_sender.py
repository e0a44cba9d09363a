"""Commands of concurrent requests are published together."""

import asyncio
from collections.abc import Sequence

import pytest

from triptych.contract.codec.envelope import Message
from triptych.gateway.writing.command_sender import CommandSender, TooLarge
from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher


class ScriptedPublisher(Publisher):
    """Publishes records when the test allows it, and refuses large ones as Kafka does."""

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
    for _ in range(10):  # until each task waits for its lane, and the lane for the publisher
        await asyncio.sleep(0)
    return tasks


async def test_commands_that_arrive_during_a_round_trip_share_the_next_in_order() -> None:
    publisher = ScriptedPublisher()
    sender = CommandSender(publisher)
    tasks = await started(sender, b"1")
    tasks += await started(sender, b"2", b"3")
    publisher.open.set()
    await asyncio.gather(*tasks)
    assert publisher.groups == [[b"1"], [b"2", b"3"]]
    await sender.close()


async def test_a_command_too_large_does_not_harm_its_neighbours() -> None:
    publisher = ScriptedPublisher()
    sender = CommandSender(publisher)
    tasks = await started(sender, b"1")
    tasks += await started(sender, b"2", b"large", b"3")
    publisher.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), TooLarge, type(None)]


@pytest.mark.parametrize("failure", [TransientFailure("Kafka is away"), RuntimeError("a fault")])
async def test_a_failure_reaches_every_request_and_the_lane_continues(failure: Exception) -> None:
    publisher = ScriptedPublisher()
    publisher.open.set()
    publisher.failure = failure
    sender = CommandSender(publisher)
    outcomes = await asyncio.gather(*(sender.send("commands", command(b"1")) for _ in range(3)), return_exceptions=True)
    assert outcomes == [failure] * 3
    publisher.failure = None
    await sender.send("commands", command(b"2"))


async def test_the_command_of_a_request_that_gave_up_is_not_sent() -> None:
    publisher = ScriptedPublisher()
    sender = CommandSender(publisher)
    tasks = await started(sender, b"1")
    tasks += await started(sender, b"2", b"3")
    tasks[1].cancel()
    publisher.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert publisher.groups == [[b"1"], [b"3"]]
