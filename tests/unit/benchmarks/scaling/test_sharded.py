"""A cluster costs more than a replica set, and each further shard costs a transaction more than an operation."""

import pytest

from benchmarks.scaling.sharded import NOTHING, ONE_SHARD, SECOND_SHARD, added


def test_a_replica_set_costs_nothing_more() -> None:
    assert added("command", 1) == NOTHING


def test_two_shards_cost_what_was_measured() -> None:
    one, second, both = ONE_SHARD["command"], SECOND_SHARD["command"], added("command", 2)
    assert both.batch == pytest.approx(one.batch + second.batch)
    assert both.each == pytest.approx(one.each + second.each)


def test_each_shard_is_a_participant_and_an_operation_concerns_few_of_them() -> None:
    some, many = added("command", 10), added("command", 1_000)
    assert many.batch > 50 * some.batch
    assert some.each < many.each < 1.2 * some.each
