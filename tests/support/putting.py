"""Publishes generated records as other programs do: with every codec, in transactions, with any header name."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.support.everything import Offered
from triptych.contract.topics import Topics
from triptych.kit.kafka.header_names import LenientBatchBuilder

REQUEST_BYTES_MAX = 64 * 1024 * 1024


async def put(bootstrap: str, topics: Topics, offered: Sequence[Offered]) -> None:
    """Publish all records; records with the same codec and transaction keep their order."""
    names = {"commands": topics.commands, "events": topics.events}

    def kind(one: Offered) -> tuple[str, str]:
        return one.transaction, one.codec

    for (transaction, codec), group in groupby(sorted(offered, key=kind), kind):
        options: dict[str, Any] = {"compression_type": None if codec == "none" else codec}
        if transaction != "none":
            options["transactional_id"] = f"{topics.prefix}{transaction}-{codec}"
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=REQUEST_BYTES_MAX, **options)
        await producer.start()
        try:
            if transaction == "none":
                await _put(producer, names, group)
                continue
            await producer.begin_transaction()
            await _put(producer, names, group)
            await (producer.commit_transaction() if transaction == "committed" else producer.abort_transaction())
        finally:
            await producer.stop()


async def _put(producer: AIOKafkaProducer, names: dict[str, str], offered: Iterable[Offered]) -> None:
    for one in offered:
        topic, headers = names[one.topic], list(one.headers)
        if any("\udc80" <= letter <= "\udcff" for name, _ in headers for letter in name):
            batch = LenientBatchBuilder(producer)
            batch.append(timestamp=None, key=one.key, value=one.value, headers=list(one.headers))
            await producer.send_batch(batch, topic, partition=one.partition)
        elif one.key is None and one.value is None:
            continue  # aiokafka does not send such a record
        else:
            await producer.send(topic, one.value, one.key, partition=one.partition, headers=headers)
    await producer.flush()
