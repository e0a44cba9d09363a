"""`LagWatch` on a real broker: the owner of a partition, and only the owner, reports its lag."""

from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY

from tests.support.consuming import Recorder, consuming
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer
from tests.support.log_lines import logged
from tests.support.waiting import eventually
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.consuming import lag as lag_module
from triptych.kit.kafka.consuming import lag_tracker as tracker_module
from triptych.kit.kafka.consuming.lag import watching_lag
from triptych.kit.process.settings import KitSettings

pytestmark = pytest.mark.only_topics("commands", "commands.dead-letter")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_module, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(tracker_module, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(tracker_module, "OPEN_SECONDS", 0.2)


def lags(topic: str, unit: str = "records") -> dict[int, float]:
    """The metric's values by partition."""
    found = {}
    for partition in range(PARTITIONS):
        labels = {"topic": topic, "partition": str(partition)}
        value = REGISTRY.get_sample_value(f"triptych_lag_{unit}", labels)
        if value is not None:
            found[partition] = value
    return found


def shows(topic: str, expected: dict[int, float]) -> Callable[[], Awaitable[bool]]:
    async def is_shown() -> bool:
        return lags(topic) == expected

    return is_shown


STALLED = "partitions have been stalled"


async def test_a_stalled_consumer_is_not_ready_and_names_the_partition(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    topic, away = installation.topics.commands, True

    def fail(value: bytes) -> None:
        if away:
            raise TransientFailure("away")

    recorder = Recorder(fail)
    settings = installation.settings(KitSettings)
    async with consuming(installation, recorder) as consumer:
        async with watching_lag(settings, consumer) as watch:
            await eventually(shows(topic, {0: 0, 1: 0, 2: 0}), "no lag")
            async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
                for _ in range(3):
                    await producer.send_and_wait(topic, b"x", partition=1)
            await eventually(shows(topic, {0: 0, 1: 3, 2: 0}), "lag of records that were not taken")
            assert lags(topic, "seconds")[1] > 0

            async def is_reported() -> bool:
                return bool(logged(caplog.records, STALLED)) and bool(watch.problem)

            await eventually(is_reported, "the stall is reported")
            (line,) = logged(caplog.records, STALLED)
            assert (line["topic"], line["partitions"]) == (topic, [1])
            assert line["problem"].startswith(f"{topic}-1 has been stalled for")
            away = False
            await eventually(shows(topic, {0: 0, 1: 0, 2: 0}), "no lag any more")
            assert lags(topic, "seconds") == {0: 0, 1: 0, 2: 0}

            async def is_ready() -> bool:
                return watch.problem is None  # on a busy machine, the stalled consumer may have to join its group again

            await eventually(is_ready, "no problem any more")
        assert lags(topic) == {}


async def test_a_transaction_that_stays_open_is_reported_and_is_no_fault_of_the_consumer(
    installation: Installation,
) -> None:
    topic = installation.topics.commands
    producer = AIOKafkaProducer(bootstrap_servers=installation.addresses.kafka_bootstrap, transactional_id="open")
    await producer.start()
    try:
        async with (
            consuming(installation, Recorder()) as consumer,
            watching_lag(installation.settings(KitSettings), consumer) as watch,
        ):
            await eventually(shows(topic, {0: 0, 1: 0, 2: 0}), "no lag")
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"x", partition=2)

            async def is_reported() -> bool:
                return f"{topic}-2 has waited for an open transaction" in (watch.detail or "")

            await eventually(is_reported, "the transaction is reported")
            assert lags(topic)[2] == 1
            assert lags(topic, "seconds")[2] > 0
            assert watch.problem is None
            await producer.commit_transaction()
            await eventually(shows(topic, {0: 0, 1: 0, 2: 0}), "no lag any more, not even the commit marker")
            assert watch.detail is None
    finally:
        await producer.stop()


async def test_only_the_owner_of_a_partition_reports_its_lag(installation: Installation) -> None:
    topic = installation.topics.commands
    async with (
        consuming(installation, Recorder()) as consumer,
        watching_lag(installation.settings(KitSettings), consumer),
    ):
        await eventually(shows(topic, {0: 0, 1: 0, 2: 0}), "all partitions are ours")
        async with consuming(installation, Recorder()) as other:

            async def are_shared() -> bool:
                ours, theirs = set(consumer.reached()), set(other.reached())
                return bool(ours and theirs) and lags(topic).keys() == ours

            await eventually(are_shared, "partitions are shared")
