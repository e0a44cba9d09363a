"""Measured work and planned work have the same terms, and caches count as the services have them."""

from dataclasses import replace

import pytest

from benchmarks.scaling.points import Conditions, Point
from benchmarks.scaling.work import TERMS, Work, work_of
from triptych.command.store.head_cache import HEADS_MAX

COMMANDS = Work("command", 1_000, 10, 2.0, 1, 12, 1_000_000, 1)
EVENTS = replace(COMMANDS, part="projector")


def test_every_amount_is_of_a_known_term() -> None:
    assert set(COMMANDS.amounts()) | set(EVENTS.amounts()) == set(TERMS)


def test_a_large_batch_touches_all_partitions_and_a_single_command_one() -> None:
    assert COMMANDS.amounts()["partition"] == pytest.approx(10 * 12, rel=0.01)
    assert replace(COMMANDS, batches=1_000).amounts()["partition"] == pytest.approx(1_000)


def test_a_process_has_its_share_of_the_partitions() -> None:
    assert replace(COMMANDS, processes=4).amounts()["partition"] == pytest.approx(10 * 3, rel=0.01)


def test_commands_of_one_gallery_touch_one_gallery_in_each_batch() -> None:
    assert replace(COMMANDS, galleries=1).amounts()["gallery"] == pytest.approx(10)
    assert COMMANDS.amounts()["gallery"] == pytest.approx(1_000, rel=0.01)


def test_heads_that_do_not_fit_the_cache_are_looked_up() -> None:
    assert COMMANDS.amounts()["lookup"] == pytest.approx(1_000)
    assert replace(COMMANDS, galleries=HEADS_MAX).amounts()["lookup"] == pytest.approx(0)
    assert replace(COMMANDS, galleries=4 * HEADS_MAX, processes=4).amounts()["lookup"] == pytest.approx(0, abs=1e-6)


def test_a_gallery_that_is_seen_for_the_first_time_is_looked_up() -> None:
    warm = replace(COMMANDS, galleries=100, batches=1_000)
    assert replace(warm, first_seen=0.25).amounts()["lookup"] == pytest.approx(250)


def test_a_head_record_has_100_items_at_most() -> None:
    one = replace(EVENTS, galleries=1, batches=10)
    assert replace(one, items=20).amounts()["head item"] == pytest.approx(200)
    assert replace(one, items=5_000).amounts()["head item"] == pytest.approx(1_000)


def test_galleries_beyond_the_cache_of_the_projector_are_loaded() -> None:
    assert replace(EVENTS, galleries=100).amounts()["loaded gallery"] == pytest.approx(0)
    loaded = replace(EVENTS, items=20).amounts()
    assert loaded["loaded gallery"] == pytest.approx(1_000, rel=0.01)
    assert loaded["loaded item"] == pytest.approx(20_000, rel=0.01)


def test_a_point_has_the_batches_and_pages_that_were_counted() -> None:
    conditions = Conditions("command", 3_000, galleries=100, items=1, listeners=0)
    figures = {"seconds": 3.0, "batches": 6.0, "pages_read": 9.0, "cpu_command": 1.0}
    work = work_of(Point(conditions, "2026-11-28T00:00:00+00:00", figures))
    assert (work.batches, work.pages, work.seconds) == (6.0, 9.0, 3.0)
    # The warm-up has seen all 100 galleries.
    assert work.first_seen == pytest.approx(0.0, abs=1e-6)


def test_idle_processes_cost_time_only() -> None:
    conditions = Conditions("relay", 0, processes=4, partitions=96)
    figures = {"seconds": 8.0, "batches": 1.0, "pages_read": 0.0, "cpu_webhooks": 0.1}
    amounts = work_of(Point(conditions, "", figures)).amounts()
    assert {term for term, amount in amounts.items() if amount} == {"process second", "partition second"}
    assert amounts["process second"] == 32.0
