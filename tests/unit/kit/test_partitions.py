"""Partitions are those of the Java client, which producers in other languages use too."""

import pytest

from triptych.kit.kafka.partitions import partition_of


@pytest.mark.parametrize(
    ("key", "hash_"),
    [
        # From the Java client's own tests of murmur2 (UtilsTest.testMurmur2).
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_as_java_computes_it(key: bytes, hash_: int) -> None:
    assert partition_of(key, 1_000) == (hash_ & 0x7FFFFFFF) % 1_000
