"""Work that needs Kafka ends at once when Kafka is away."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from triptych.gateway.writing import kafka_monitor as pulse_module
from triptych.gateway.writing.kafka_monitor import KafkaMonitor, running_monitor
from triptych.kit.failures import TransientFailure


class Kafka:
    """Answers or not, as the test says."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure

    async def next_answer(self) -> None:
        """Until a question asked from now on has been answered."""
        enough = self.asked + 2
        while self.asked < enough:
            await asyncio.sleep(0)


def problem_of(pulse: KafkaMonitor) -> str | None:
    return pulse.problem


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_module, "INTERVAL_SECONDS", 0)


async def test_work_has_its_result_or_its_own_failure() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    pulse = KafkaMonitor(Kafka().ask)
    async with pulse.within(10):
        assert await asyncio.sleep(0, "done") == "done"
    with pytest.raises(ValueError, match="mine"):
        async with pulse.within(10):
            await fail()


async def test_work_that_takes_too_long_is_ended() -> None:
    pulse = KafkaMonitor(Kafka().ask)
    with pytest.raises(TransientFailure, match="it took more than"):
        async with pulse.within(0.01):
            await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("failure", [KafkaConnectionError(), TimeoutError()])
async def test_work_under_way_ends_when_kafka_goes(failure: Exception) -> None:
    kafka = Kafka()
    async with running_monitor(kafka.ask) as pulse:
        never = asyncio.get_running_loop().create_future()

        async def work() -> None:
            async with pulse.within(10):
                await never

        working = asyncio.create_task(work())
        await kafka.next_answer()
        assert not working.done()
        assert problem_of(pulse) is None
        kafka.failure = failure
        with pytest.raises(TransientFailure):
            await asyncio.wait_for(working, 10)
        assert never.cancelled()
        assert problem_of(pulse) == "Kafka does not answer"
        with pytest.raises(TransientFailure):
            async with pulse.within(10):
                pytest.fail("begun although Kafka is away")
        kafka.failure = None
        await kafka.next_answer()
        assert problem_of(pulse) is None


async def test_a_fault_of_ours_does_not_end_the_pulse() -> None:
    kafka = Kafka()
    kafka.failure = RuntimeError("a fault")
    async with running_monitor(kafka.ask) as pulse:
        await kafka.next_answer()
        assert problem_of(pulse) is None
