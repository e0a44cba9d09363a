"""Batches are split into lanes of whole partitions."""

import random
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from triptych.kit.kafka.consuming.lanes import Lanes

LANES = Lanes(3, from_records=20)


def records(partitions: list[int]) -> list[ConsumerRecord[Any, Any]]:
    return [
        ConsumerRecord("topic", partition, offset, 0, 0, None, b"", None, 0, 0, ())
        for offset, partition in enumerate(partitions)
    ]


def test_lanes_have_no_partition_in_common_and_keep_the_order_per_partition() -> None:
    chance = random.Random(3)
    for _ in range(20):
        batch = records(chance.choices(range(6), [20, 5, 5, 3, 2, 1], k=LANES.from_records + 50))
        lanes = LANES.of(batch)
        assert 1 < len(lanes) <= LANES.most
        partitions = [{record.partition for record in lane} for lane in lanes]
        assert sum(map(len, partitions)) == len(set().union(*partitions))
        for partition in range(6):
            found = [record.offset for lane in lanes for record in lane if record.partition == partition]
            assert found == [record.offset for record in batch if record.partition == partition]


def test_lanes_are_about_equal() -> None:
    assert [len(lane) for lane in LANES.of(records([0] * 90 + [1] * 60 + [2] * 50 + [3] * 10))] == [90, 60, 60]
    assert [len(lane) for lane in LANES.of(records([0] * 30 + [1]))] == [30, 1]


@pytest.mark.parametrize(
    ("lanes", "batch"),
    [
        (LANES, []),
        (LANES, records([0, 1] * 9)),
        (LANES, records([0] * 20)),
        (Lanes(), records([0, 1] * 100)),
        (Lanes(3, may_split=lambda _: False), records([0, 1] * 100)),
    ],
    ids=["none", "few", "one partition", "one lane by default", "not independent"],
)
def test_other_batches_stay_in_one_lane(lanes: Lanes, batch: list[ConsumerRecord[Any, Any]]) -> None:
    assert lanes.of(batch) == [batch]
