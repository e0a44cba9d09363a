"""Measures the price of fencing at the broker: two records published in a Kafka transaction, and without one."""

import asyncio
import time

from aiokafka import AIOKafkaProducer

from benchmarks.scenario import PARTITIONS, Figures, Round, Scenario
from benchmarks.statistics import percentile

PUBLICATIONS, WARM_UP = 250, 50
PERIOD_SECONDS = 0.02
RECORDS, RECORD_BYTES = 2, 800  # an item and its gallery's head


async def idempotent(of_round: Round) -> Figures:
    """An idempotent producer, as the projector has it."""
    return await _measure(of_round, None)


async def transactional(of_round: Round) -> Figures:
    """A transaction for each publication. The broker refuses a former owner of the same transactional id."""
    return await _measure(of_round, of_round.name)


async def _measure(of_round: Round, transactional_id: str | None) -> Figures:
    producer = AIOKafkaProducer(
        bootstrap_servers=of_round.addresses.kafka_bootstrap,
        enable_idempotence=True,
        transactional_id=transactional_id,
        linger_ms=0,
    )
    await producer.start()
    try:
        seconds = []
        for number in range(WARM_UP + PUBLICATIONS):
            began = time.perf_counter()
            if transactional_id is None:
                await _publish(producer, of_round.topics.galleries, number % PARTITIONS)
            else:
                async with producer.transaction():
                    await _publish(producer, of_round.topics.galleries, number % PARTITIONS)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PERIOD_SECONDS)
    finally:
        await producer.stop()
    counted = [1000 * duration for duration in seconds[WARM_UP:]]
    return {"p50_ms": percentile(counted, 0.5), "p99_ms": percentile(counted, 0.99)}


async def _publish(producer: AIOKafkaProducer, topic: str, partition: int) -> None:
    sent = [await producer.send(topic, bytes(RECORD_BYTES), b"key", partition) for _ in range(RECORDS)]
    await asyncio.gather(*sent)


SCENARIO = Scenario(
    name="publishing",
    description="two records for one partition, with and without a transaction of Kafka",
    variants={"idempotent": idempotent, "transactional": transactional},
)
