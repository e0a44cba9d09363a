"""Computes the partition of a key by murmur2, as Java, aiokafka and `kcat -X partitioner=murmur2_random` do."""

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def _positive_hash(key: bytes) -> int:
    # The hash is pure Python and takes about 15 µs for a GUID. A busy gallery's id is hashed for each of its records.
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, of a record with this key."""
    return _positive_hash(key) % partitions
