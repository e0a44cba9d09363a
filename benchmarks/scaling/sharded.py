"""Says what a sharded cluster adds to MongoDB's processor time; pure.

The figures are those of `python -m tests.support.cluster.price` (docs/sharding.md#what-it-costs): a replica set, a
cluster of one shard, and one of two.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Added:
    """Processor seconds of mongod beyond those on a replica set: of each batch, and of each of its operations."""

    batch: float = 0.0
    each: float = 0.0


NOTHING = Added()
ONE_SHARD: Mapping[str, Added] = {"command": Added(0.0024, 0.00012), "projector": Added(0.0024, 0.00002)}
"""A cluster of one shard: the code of a router, and the coordinator of each transaction. The price of a batch
is that of a single command, and is taken for a projector's batch too."""
SECOND_SHARD: Mapping[str, Added] = {"command": Added(0.0070, 0.00013), "projector": Added(0.0070, 0.0)}
"""The second shard: a participant more in each transaction, and operations that concern two shards."""
RELAY_FACTOR = 1.6
"""The relay was not measured on a cluster. This is what waiting events cost on one, compared with a replica set."""


def added(part: str, shards: int) -> Added:
    """What this number of shards adds to a batch of a part, whose transaction concerns all of them.

    An operation writes a few documents. Of two shards, half of them are on the other one; of many, nearly all.
    """
    if shards == 1 or part not in ONE_SHARD:
        return NOTHING
    one, second = ONE_SHARD[part], SECOND_SHARD[part]
    elsewhere = 2 * (shards - 1) / shards
    return Added(one.batch + second.batch * (shards - 1), one.each + second.each * elsewhere)
