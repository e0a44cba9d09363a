"""Makes batches of records as bytes, including batches that our clients would not send."""

import struct
from collections.abc import Sequence

from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

CRC_AT, ATTRIBUTES_AT, DELTA_AT, PRODUCER_AT, COUNT_AT, RECORDS_AT = 17, 21, 23, 43, 57, 61
TIMESTAMP_MS = 1_700_000_000_000
TRANSACTIONAL, CONTROL = 0x10, 0x20
Headers = Sequence[tuple[bytes, bytes | None]]


class _Name(str):
    """The name of a header, which may be any bytes."""

    def encode(self, *_: object) -> bytes:
        return str.encode(self, "utf-8", "surrogateescape")


def batch(
    *values: bytes | None,
    base_offset: int = 0,
    headers: Headers = (),
    key: bytes | None = b"key",
    codec: int = 0,
    producer_id: int = -1,
    attributes: int = 0,
) -> bytes:
    """A batch of format 2 with one record for each value."""
    builder = _DefaultRecordBatchBuilderPy(2, codec, 0, producer_id, 0 if producer_id >= 0 else -1, 0, 2**30)
    names = [(_Name(name.decode("utf-8", "surrogateescape")), value) for name, value in headers]
    for position, value in enumerate(values):
        builder.append(position, TIMESTAMP_MS, key, value, list(names))
    made = bytearray(builder.build())
    if attributes:
        (known,) = struct.unpack_from(">h", made, ATTRIBUTES_AT)
        struct.pack_into(">h", made, ATTRIBUTES_AT, known | attributes)
    return at_offset(sealed(made), base_offset)


def at_offset(made: bytes, base_offset: int) -> bytes:
    """The batch with another base offset, as the broker stores it."""
    return struct.pack(">q", base_offset) + made[8:]


def sealed(made: bytes | bytearray) -> bytes:
    """The batch with the right length and checksum for its bytes."""
    made = bytearray(made)
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">I", made, CRC_AT, calc_crc32c(bytes(made[ATTRIBUTES_AT:])))
    return bytes(made)


def with_body(made: bytes, body: bytes, *, codec: int = 0) -> bytes:
    """The batch with these bytes instead of its records."""
    changed = bytearray(made[:RECORDS_AT] + body)
    struct.pack_into(">h", changed, ATTRIBUTES_AT, codec)
    return sealed(changed)


def with_wrong_checksum(made: bytes) -> bytes:
    """The batch with a checksum that is wrong."""
    return made[:CRC_AT] + bytes([made[CRC_AT] ^ 0xFF]) + made[CRC_AT + 1 :]


def legacy(*values: bytes | None, magic: int = 1, codec: int = 0, base_offset: int = 0) -> bytes:
    """Messages of format 0 or 1; with a codec, a single message that wraps them."""
    builder = LegacyRecordBatchBuilder(magic, codec, 2**30)
    for position, value in enumerate(values):
        builder.append(position, TIMESTAMP_MS, b"key", value, [])
    made = bytes(builder.build())
    if codec:
        return at_offset(made, base_offset + len(values) - 1)
    numbered, position = b"", 0
    for number in range(len(values)):
        end = position + 12 + struct.unpack_from(">i", made, position + 8)[0]
        numbered += at_offset(made[position:end], base_offset + number)
        position = end
    return numbered
