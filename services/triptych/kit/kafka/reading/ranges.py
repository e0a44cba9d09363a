"""Reads given ranges of a topic once, in chunks, by a consumer outside any group."""

from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import make_reader, start_client
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import progress

RECORDS_AT_ONCE = 2_000
POLL_MS = 200
PARTITION_BYTES = 256 * 1024


class Chunk(NamedTuple):
    """Records of several partitions, in order per partition; `reached` is the offset after what was read of each."""

    records: list[IncomingRecord]
    reached: Mapping[int, int]


async def read_ranges(
    settings: KitSettings, topic: str, ranges: Mapping[int, tuple[int, int]], at_once: int = RECORDS_AT_ONCE
) -> AsyncGenerator[Chunk, None]:
    """Read the offsets from `start` up to, but without, `end` of each partition. Records that expired are left out.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    ends = {TopicPartition(topic, number): end for number, (start, end) in ranges.items() if start < end}
    if not ends:
        return
    reader = make_reader(settings, auto_offset_reset="earliest", max_partition_fetch_bytes=PARTITION_BYTES)
    try:
        await start_client(reader, settings)
        reader.assign(list(ends))
        for partition in ends:
            reader.seek(partition, ranges[partition.partition][0])
        while ends:
            found = await reader.getmany(*ends, timeout_ms=POLL_MS, max_records=at_once)
            positions = {partition: await reader.position(partition) for partition in ends}
            progress()
            yield Chunk(
                [one for tp, records in found.items() for one in records if one.offset < ends[tp]],
                {tp.partition: min(position, ends[tp]) for tp, position in positions.items()},
            )
            ends = {tp: end for tp, end in ends.items() if positions[tp] < end}
    except KafkaError as error:
        raise TransientFailure(f"cannot read {topic}: {error!r}") from error
    finally:
        await reader.stop()
