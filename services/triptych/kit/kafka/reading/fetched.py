"""Decodes fetched batches into records; of a record that no client can read, it returns the bytes and the reason.

The format is Kafka's: https://kafka.apache.org/documentation/#recordbatch. aiokafka's compiled reader does the work.
`triptych.kit.kafka.reading.slow_batches` reads a batch that the compiled reader refuses, for instance because the name
of a header is not UTF-8.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from triptych.kit.kafka.fast_gzip import EXPANDED_MAX, install
from triptych.kit.kafka.reading.expansion import expands_beyond
from triptych.kit.kafka.reading.slow_batches import HEADER, BatchHeader, Broken, read_slowly
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

install()  # the compiled reader would decompress gzip without a bound

_FRAME = struct.Struct(">qi")
_MAGIC_AT = 16
_TRANSACTIONAL, _CONTROL, _CODEC = 0x10, 0x20, 0x07


@dataclass
class Unreadable(ConsumerRecord[Any, Any]):  # type: ignore[misc]
    """A record or batch that no client can read. `value` has its bytes.

    It is a single record if `first_offset` equals `offset`, otherwise a batch.

    Attributes:
        first_offset: the first offset that it covers; `offset` is the last.
        text: why it cannot be read, for a person.
    """

    first_offset: int = -1
    text: str = ""


class Fetched:
    """The records that one fetch returned for one partition, as an iterator that raises no errors.

    Attributes:
        next_fetch_offset: where to fetch next if no more records are taken from this iterator.
    """

    def __init__(
        self, topic_partition: TopicPartition, data: bytes, aborted: Sequence[tuple[int, int]] | None, offset: int
    ) -> None:
        """Decode lazily.

        Args:
            topic_partition: where the data comes from.
            data: complete batches, perhaps followed by the beginning of another.
            aborted: for each aborted transaction, the producer id and the transaction's first offset.
            offset: records before it are skipped.
        """
        self._topic_partition = topic_partition
        self._data = data
        self._aborted = sorted(aborted or (), key=lambda transaction: transaction[1], reverse=True)
        self._aborted_producers: set[int] = set()
        self.next_fetch_offset = offset
        self._records = self._guarded()

    def __iter__(self) -> Iterator[ConsumerRecord[Any, Any]]:
        return self._records

    def __next__(self) -> ConsumerRecord[Any, Any]:
        return next(self._records)

    def _guarded(self) -> Iterator[ConsumerRecord[Any, Any]]:
        """The records until a fault in our code. The rest is fetched again; an error would lose other partitions."""
        try:
            yield from self._read()
        except Exception:
            topic, partition = self._topic_partition
            log.exception(
                "fetched data cannot be decoded", topic=topic, partition=partition, offset=self.next_fetch_offset
            )

    def _read(self) -> Iterator[ConsumerRecord[Any, Any]]:
        start, raw = self.next_fetch_offset, memoryview(b"")
        for raw, following in _frames(self._data):
            records, end = self._read_batch(raw, following)
            topic, partition = self._topic_partition
            for record in records:
                # Kafka returns complete batches, even if the fetch starts at a later record.
                if record.offset < self.next_fetch_offset:
                    continue
                if isinstance(record, Broken):
                    yield self._unreadable(record.raw, record.offset, record.text)
                else:
                    key, value, timestamp = record.key, record.value, record.timestamp
                    self.next_fetch_offset = record.offset + 1
                    yield ConsumerRecord(
                        topic,
                        partition,
                        record.offset,
                        -1 if timestamp is None else timestamp,  # the oldest format has none
                        record.timestamp_type,
                        key,
                        value,
                        None,
                        -1 if key is None else len(key),
                        -1 if value is None else len(value),
                        tuple(record.headers),
                    )
            # Continue after the batch's last original offset: compaction may have removed that record.
            self.next_fetch_offset = max(self.next_fetch_offset, end)
        if self.next_fetch_offset == start and raw:
            # Otherwise the same data would be fetched for ever.
            yield self._unreadable(bytes(raw), start, "the offsets in the batch are wrong")

    def _read_batch(self, raw: memoryview, following: int | None) -> tuple[Sequence[Any], int]:
        """The records of a batch, and the offset after it. `following` is the next batch's first offset, if known."""
        magic = raw[_MAGIC_AT]
        try:
            if magic == 2:
                return self._read_current(raw, following)
            if magic < 2:
                return _read_legacy(raw, magic)
            text = f"records of format {magic} are not supported"
        except Exception as error:  # noqa: BLE001 - whatever the bytes are, they must not end the poll
            text = repr(error)
        last = self.next_fetch_offset if following is None else max(self.next_fetch_offset, following - 1)
        return [Broken(last, bytes(raw), text)], last + 1

    def _read_current(self, raw: memoryview, following: int | None) -> tuple[Sequence[Any], int]:
        header = BatchHeader(*HEADER.unpack_from(raw))
        batch = DefaultRecordBatch(raw)
        attributes = header.attributes
        if not batch.validate_crc():
            if attributes & _CONTROL:
                self._aborted_producers.discard(header.producer_id)
            end = _end_of_damaged(header, following, self.next_fetch_offset)
            return [Broken(end - 1, bytes(raw), "the checksum is wrong")], end
        end = header.base_offset + header.last_offset_delta + 1
        if attributes & _CONTROL:
            # The transaction has ended here, committed or aborted.
            self._aborted_producers.discard(header.producer_id)
            return (), end
        if attributes & _TRANSACTIONAL and self._is_aborted(header):
            return (), end
        if attributes & _CODEC and expands_beyond(raw[HEADER.size :], attributes & _CODEC, EXPANDED_MAX):
            text = f"the batch has more than {EXPANDED_MAX} bytes after decompression"
            return [Broken(end - 1, bytes(raw), text)], end
        try:
            return list(batch), end
        except Exception as error:  # noqa: BLE001 - the reader raises many kinds of errors
            return read_slowly(raw, header, repr(error)), end

    def _is_aborted(self, header: BatchHeader) -> bool:
        while self._aborted and self._aborted[-1][1] <= header.base_offset:
            self._aborted_producers.add(self._aborted.pop()[0])
        return header.producer_id in self._aborted_producers

    def _unreadable(self, raw: bytes, offset: int, text: str) -> Unreadable:
        first, self.next_fetch_offset = self.next_fetch_offset, offset + 1
        topic, partition = self._topic_partition
        return Unreadable(topic, partition, offset, -1, 0, None, raw, None, -1, len(raw), (), first, text)


def has_whole_batch(data: bytes) -> bool:
    """Whether these bytes start with a complete batch, so that `Fetched` returns something."""
    return _end_of_frame(memoryview(data), 0) is not None


def _frames(data: bytes) -> Iterator[tuple[memoryview, int | None]]:
    """Each complete batch, and the first offset of the next one if that is known."""
    view, start = memoryview(data), 0
    while (end := _end_of_frame(view, start)) is not None:
        following = None
        if len(view) > end + _MAGIC_AT and view[end + _MAGIC_AT] == 2:
            following = _FRAME.unpack_from(view, end)[0]
        yield view[start:end], following
        start = end


def _end_of_frame(view: memoryview, start: int) -> int | None:
    if len(view) <= start + _MAGIC_AT:
        return None
    end = start + _FRAME.size + int(_FRAME.unpack_from(view, start)[1])
    return end if start + _MAGIC_AT < end <= len(view) else None


def _read_legacy(raw: memoryview, magic: int) -> tuple[Sequence[Any], int]:
    last = int(_FRAME.unpack_from(raw)[0])
    batch = LegacyRecordBatch(raw, magic)
    try:
        if not batch.validate_crc():
            return [Broken(last, bytes(raw), "the checksum is wrong")], last + 1
        return list(batch), last + 1
    except Exception as error:  # noqa: BLE001 - the reader raises many kinds of errors
        return [Broken(last, bytes(raw), repr(error))], last + 1


def _end_of_damaged(header: BatchHeader, following: int | None, position: int) -> int:
    """The offset after a batch whose header cannot be trusted. Too small is harmless; too large loses records."""
    if following is not None and following > position:
        return following
    count = header.last_offset_delta + 1
    end = header.base_offset + count
    return end if count == header.record_count and end > position else position + 1
