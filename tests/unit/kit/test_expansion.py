"""`expands_beyond`: hostile batches are recognised, and ordinary ones are not mistaken for them."""

import random

import pytest
from aiokafka.codec import lz4_encode, snappy_encode, zstd_encode

from triptych.kit.kafka.reading.expansion import LZ4, SNAPPY, ZSTD, expands_beyond

CODECS = {SNAPPY: snappy_encode, LZ4: lz4_encode, ZSTD: zstd_encode}
LIMIT = 4 * 1024 * 1024


@pytest.mark.parametrize("codec", CODECS)
def test_what_expands_beyond_the_limit_is_recognised(codec: int) -> None:
    bomb = CODECS[codec](bytes(LIMIT + 1_000_000))
    assert expands_beyond(memoryview(bomb), codec, LIMIT)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "content",
    [b"", bytes(LIMIT - 200_000), random.Random(1).randbytes(300_000), b"harbour at dusk " * 100_000],
    ids=["empty", "zeros", "random", "text"],
)
def test_what_stays_below_the_limit_is_not(codec: int, content: bytes) -> None:
    assert not expands_beyond(memoryview(CODECS[codec](content)), codec, LIMIT)


def test_several_frames_count_together() -> None:
    frame = zstd_encode(bytes(LIMIT // 2 + 1))
    assert expands_beyond(memoryview(frame + frame), ZSTD, LIMIT)
    assert not expands_beyond(memoryview(frame), ZSTD, LIMIT)


@pytest.mark.parametrize("codec", [*CODECS, 0, 7])
@pytest.mark.parametrize(
    "junk", [b"", b"\x00", b"\xff" * 40, b"\x28\xb5\x2f\xfd", random.Random(1).randbytes(500)], ids=range(5)
)
def test_what_is_no_compressed_data_does_not_raise(codec: int, junk: bytes) -> None:
    assert expands_beyond(memoryview(junk), codec, LIMIT) in (False, True)
