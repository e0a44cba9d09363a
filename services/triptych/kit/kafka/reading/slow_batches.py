"""Reads a batch that the compiled reader refuses, record by record, so that only its broken records are unreadable."""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from aiokafka.codec import lz4_decode, snappy_decode, zstd_decode

from triptych.kit.kafka.fast_gzip import gzip_decode

HEADER = struct.Struct(">qiibIhiqqqhii")
_LOG_APPEND_TIME = 0x08
_DECODERS = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
_CODEC = 0x07
_VARINT_BYTES = 10

HeaderList: TypeAlias = list[tuple[str, bytes | None]]


class BatchHeader(NamedTuple):
    """The header of a batch of format 2."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    checksum: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int


class SlowRecord(NamedTuple):
    """A record. In names of headers, bytes that are not UTF-8 are surrogates, as `surrogateescape` makes them."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: HeaderList


class Broken(NamedTuple):
    """Bytes that are not a valid record. `offset` is the last offset that they cover; `text` is the reason."""

    offset: int
    raw: bytes
    text: str


def read_slowly(raw: memoryview, header: BatchHeader, text: str) -> Sequence[SlowRecord | Broken]:
    """The records of a batch of format 2, in order, with a `Broken` for each invalid one.

    `text` says why the compiled reader refused the batch.
    """
    last = header.base_offset + header.last_offset_delta
    codec = header.attributes & _CODEC
    body = bytes(raw[HEADER.size :])
    if codec:
        if codec not in _DECODERS:
            return [Broken(last, bytes(raw), f"compression {codec} is not supported")]
        try:
            body = bytes(_DECODERS[codec](body))
        except Exception as error:  # noqa: BLE001 - each codec raises errors of its own
            return [Broken(last, bytes(raw), f"the batch cannot be decompressed: {error!r}")]
    try:
        found = list(_records(body, header))
    except ValueError as error:
        return [Broken(last, bytes(raw), str(error))]
    if all(isinstance(record, Broken) for record in found):
        return [Broken(last, bytes(raw), text)]
    return found


def _records(body: bytes, header: BatchHeader) -> Iterator[SlowRecord | Broken]:
    """The records of a body. Raises ValueError if it does not consist of as many records as the header says."""
    expected, position = header.base_offset, 0
    last = header.base_offset + header.last_offset_delta
    for _ in range(header.record_count):
        length, start = _varint(body, position)
        position_after = start + length
        if length < 0 or position_after > len(body) or expected > last:
            raise ValueError("the batch does not have as many records as its header says")
        try:
            record: SlowRecord | Broken = _record(body[start:position_after], header)
            if not expected <= record.offset <= last:
                raise ValueError(f"offset {record.offset} is out of order")
        except ValueError as error:
            record = Broken(expected, body[start:position_after], f"the record is broken: {error}")
        yield record
        expected, position = record.offset + 1, position_after
    if position < len(body):
        raise ValueError("there are bytes after the last record of the batch")


def _record(data: bytes, header: BatchHeader) -> SlowRecord:
    """Decode one record. Raises ValueError."""
    timestamp_delta, position = _varint(data, 1)  # the first byte is not used
    offset_delta, position = _varint(data, position)
    key, position = _bytes(data, position)
    value, position = _bytes(data, position)
    count, position = _varint(data, position)
    if not 0 <= count <= len(data):
        raise ValueError(f"{count} headers")
    headers: HeaderList = []
    for _ in range(count):
        name, position = _bytes(data, position)
        if name is None:
            raise ValueError("a header has no name")
        text, position = _bytes(data, position)
        headers.append((name.decode("utf-8", "surrogateescape"), text))
    if position != len(data):
        raise ValueError(f"it is {position} bytes long instead of {len(data)}")
    is_appended = bool(header.attributes & _LOG_APPEND_TIME)
    timestamp = header.max_timestamp if is_appended else header.first_timestamp + timestamp_delta
    return SlowRecord(header.base_offset + offset_delta, timestamp, int(is_appended), key, value, headers)


def _bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = _varint(data, position)
    if length < 0:
        return None, position
    if position + length > len(data):
        raise ValueError("it ends too early")
    return data[position : position + length], position + length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number in Kafka's zigzag encoding, and the position after it. Raises ValueError."""
    value = 0
    for index, byte in enumerate(data[position : position + _VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position + index + 1
    raise ValueError("a number does not end")
