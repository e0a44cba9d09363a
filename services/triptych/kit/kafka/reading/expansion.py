"""Decides without decompressing whether a compressed batch would become too large for memory."""

import struct
from collections.abc import Iterator

import cramjam

SNAPPY, LZ4, ZSTD = 2, 3, 4
_LZ4_RATIO = 255  # the most bytes that one compressed byte can become
_ZSTD_BLOCK = 128 * 1024
_ZSTD_CONTENT_SIZES = {0: 0, 1: 2, 2: 4, 3: 8}
_ZSTD_RAW_OR_REPEATED = (0, 1)
_LZ4_BLOCK_SIZES = {4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: 4 * 1024 * 1024}
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16


def expands_beyond(data: memoryview, codec: int, limit: int) -> bool:
    """Whether `data` may have more than `limit` bytes after decompression; False if `codec` does not fit the data.

    Exact for snappy. gzip is bounded during decompression (`fast_gzip`). For zstd and lz4, the headers of the blocks
    give an upper bound at a thousandth of the cost of decompression.
    """
    try:
        if codec == SNAPPY:
            return sum(map(cramjam.snappy.decompress_raw_len, _snappy_blocks(bytes(data)))) > limit
        if codec == LZ4:
            return len(data) * _LZ4_RATIO > limit and _exceeds(_lz4_blocks(data), limit)
        return codec == ZSTD and _exceeds(_zstd_blocks(data), limit)
    except (IndexError, KeyError, struct.error, cramjam.DecompressionError):
        return False


def _exceeds(sizes: Iterator[int], limit: int) -> bool:
    total = 0
    for size in sizes:
        total += size
        if total > limit:
            return True
    return False


def _snappy_blocks(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_XERIAL):
        yield data
        return
    position = _XERIAL_HEADER
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        yield data[position + 4 : position + 4 + size]
        position += 4 + size


def _lz4_blocks(data: memoryview) -> Iterator[int]:
    """The largest size of each block in bytes (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md)."""
    flags, largest = data[4], _LZ4_BLOCK_SIZES[data[5] >> 4 & 7]
    position = 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    while (size := struct.unpack_from("<I", data, position)[0] & 0x7FFFFFFF) != 0:
        yield min(largest, size * _LZ4_RATIO)
        position += 4 + size + (4 if flags & 0x10 else 0)


def _zstd_blocks(data: memoryview) -> Iterator[int]:
    """The largest size of each block in bytes (https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1)."""
    position = 0
    while position < len(data):
        magic, flags = struct.unpack_from("<IB", data, position)
        if magic & 0xFFFFFFF0 == 0x184D2A50:
            position += 8 + struct.unpack_from("<I", data, position + 4)[0]
            continue
        is_single = flags >> 5 & 1
        position += 5 + (not is_single) + (0, 1, 2, 4)[flags & 3] + (_ZSTD_CONTENT_SIZES[flags >> 6] or is_single)
        is_last = 0
        while not is_last:
            word = data[position] | data[position + 1] << 8 | data[position + 2] << 16
            is_last, kind, size = word & 1, word >> 1 & 3, word >> 3
            yield size if kind in _ZSTD_RAW_OR_REPEATED else _ZSTD_BLOCK
            position += 3 + (1 if kind == 1 else size)
        position += 4 if flags & 4 else 0
