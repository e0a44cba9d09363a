"""Puts generated records on topics as strangers do: with every codec, in transactions, with any header name."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from schemas.topics import Topics
from tests.support.everything import Offered

REQUEST_BYTES_MAX = 64 * 1024 * 1024
_CRC, _ATTRIBUTES = 17, 21
"""Where, in a batch of records, its checksum is and what that begins with."""


async def put(bootstrap: str, topics: Topics, offered: Sequence[Offered]) -> None:
    """Put all on their topics; those of one codec and transaction keep their order."""
    names = {"commands": topics.commands, "events": topics.events}

    def kind(one: Offered) -> tuple[str, str]:
        return one.transaction, one.codec

    for (transaction, codec), part in groupby(sorted(offered, key=kind), kind):
        options: dict[str, Any] = {"compression_type": None if codec == "none" else codec}
        if transaction != "none":
            options["transactional_id"] = f"{topics.prefix}{transaction}-{codec}"
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=REQUEST_BYTES_MAX, **options)
        await producer.start()
        try:
            if transaction == "none":
                await _put(producer, names, part)
                continue
            await producer.begin_transaction()
            await _put(producer, names, part)
            await (producer.commit_transaction() if transaction == "committed" else producer.abort_transaction())
        finally:
            await producer.stop()


async def _put(producer: AIOKafkaProducer, names: dict[str, str], offered: Iterable[Offered]) -> None:
    for one in offered:
        topic, headers = names[one.topic], list(one.headers)
        if any("\udc80" <= letter <= "\udcff" for name, _ in headers for letter in name):
            await producer.send_batch(_batch_of(one), topic, partition=one.partition)
        elif one.key is None and one.value is None:
            continue  # aiokafka does not send that
        else:
            await producer.send(topic, one.value, one.key, partition=one.partition, headers=headers)
    await producer.flush()


class _RawBatch(BatchBuilder):  # type: ignore[misc]
    """A batch of one record, some bytes of which are replaced before it is sent."""

    replaced: list[tuple[bytes, bytes]]

    def _build(self) -> bytearray:
        is_first = self._buffer is None
        built: bytearray = super()._build()
        if is_first:
            for placeholder, name in self.replaced:
                assert built.count(placeholder) == 1
                built[:] = built.replace(placeholder, name)
            built[_CRC:_ATTRIBUTES] = calc_crc32c(bytes(built[_ATTRIBUTES:])).to_bytes(4, "big")
        return built


def _batch_of(one: Offered) -> BatchBuilder:
    """The record with its names, byte for byte; uncompressed, since it is changed after it is built."""
    batch = _RawBatch(1, 0)
    batch.replaced = []
    headers = []
    for number, (name, text) in enumerate(one.headers):
        raw = name.encode(errors="surrogateescape")
        placeholder = name
        if raw != name.encode(errors="replace"):
            placeholder = f"\1{number}".ljust(len(raw), "\2")[: len(raw)]
            batch.replaced.append((placeholder.encode(), raw))
        headers.append((placeholder, text))
    batch.append(timestamp=None, key=one.key, value=one.value, headers=headers)
    return batch
