"""A block that needs Kafka fails at once while Kafka is away."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka import monitor as kafka_monitor
from triptych.kit.kafka.monitor import KafkaMonitor, running_monitor


class Kafka:
    """Answers or fails, as the test decides."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure

    async def next_answer(self) -> None:
        """Wait until a question that is asked after this call has been answered."""
        enough = self.asked + 2
        while self.asked < enough:
            await asyncio.sleep(0)


def problem_of(monitor: KafkaMonitor) -> str | None:
    return monitor.problem


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_monitor, "INTERVAL_SECONDS", 0)


async def test_work_has_its_result_or_its_own_failure() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    monitor = KafkaMonitor(Kafka().ask)
    async with monitor.fail_fast(10):
        assert await asyncio.sleep(0, "done") == "done"
    with pytest.raises(ValueError, match="mine"):
        async with monitor.fail_fast(10):
            await fail()


async def test_work_that_takes_too_long_is_ended() -> None:
    monitor = KafkaMonitor(Kafka().ask)
    with pytest.raises(TransientFailure, match="it took more than"):
        async with monitor.fail_fast(0.01):
            await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("failure", [KafkaConnectionError(), TimeoutError()])
async def test_running_work_ends_when_kafka_stops_answering(failure: Exception) -> None:
    kafka = Kafka()
    async with running_monitor(kafka.ask) as monitor:
        never = asyncio.get_running_loop().create_future()

        async def work() -> None:
            async with monitor.fail_fast(10):
                await never

        working = asyncio.create_task(work())
        await kafka.next_answer()
        assert not working.done()
        assert problem_of(monitor) is None
        kafka.failure = failure
        with pytest.raises(TransientFailure):
            await asyncio.wait_for(working, 10)
        assert never.cancelled()
        assert problem_of(monitor) == "Kafka does not answer"
        with pytest.raises(TransientFailure):
            async with monitor.fail_fast(10):
                pytest.fail("begun although Kafka is away")
        kafka.failure = None
        await kafka.next_answer()
        assert problem_of(monitor) is None


async def test_an_unexpected_error_does_not_end_the_monitor() -> None:
    kafka = Kafka()
    kafka.failure = RuntimeError("a fault")
    async with running_monitor(kafka.ask) as monitor:
        await kafka.next_answer()
        assert problem_of(monitor) is None
