"""Sends single commands to a command service and measures the time until each reply."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.pipeline import store
from benchmarks.scenario import Round, RoundFailed
from benchmarks.simulation import SimulatedGallery, Step
from benchmarks.usage import Meter
from benchmarks.workload import command_record
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.reading.tail import tail

REPLY_SECONDS = 60.0
STOP_SECONDS = 30.0


class Requester:
    """Sends commands and waits for their replies. `meter` measures the service that replies."""

    def __init__(self, topic: str, producer: AIOKafkaProducer, meter: Meter) -> None:
        self.meter = meter
        self._topic = topic
        self._producer = producer
        self._waiting: dict[str, asyncio.Future[dict[str, str]]] = {}

    async def ask(self, step: Step, command_id: str) -> float:
        """Send a command; the milliseconds until its reply.

        Raises:
            RoundFailed: the command is rejected, or has no reply after a minute.
        """
        record = command_record(self._topic, step.name, step.data, command_id)
        answered = self._waiting[command_id] = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        await self._producer.send(self._topic, record.value, key=record.key, headers=list(record.headers))
        try:
            reply = await asyncio.wait_for(answered, REPLY_SECONDS)
        except TimeoutError:
            raise RoundFailed(f"{step.name} was not answered within {REPLY_SECONDS:g} s") from None
        if reply["outcome"] != "accepted":
            raise RoundFailed(f"{step.name} was rejected: {reply}")
        return 1000 * (time.perf_counter() - started)

    async def listen(self, replies: AIOKafkaConsumer) -> None:
        """Assign replies to the waiting commands, until cancelled."""
        async for record in replies:
            reply = orjson.loads(record.value)
            answered = self._waiting.pop(reply["commandId"], None)
            if answered is not None and not answered.done():
                answered.set_result(reply)


@asynccontextmanager
async def requesting(
    of_round: Round, galleries: Sequence[SimulatedGallery], module: str, *args: str, **fields: object
) -> AsyncIterator[Requester]:
    """A requester of an idle service with these galleries, `python -m module`."""
    await store(of_round, galleries)
    child = of_round.start(module, *args, **fields)
    try:
        async with (
            make_producer(of_round.settings) as producer,
            tail(of_round.settings, [of_round.topics.replies]) as replies,
        ):
            requester = Requester(of_round.topics.commands, producer, of_round.meter([child]))
            listening = asyncio.create_task(requester.listen(replies))
            try:
                yield requester
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)
