"""`python -m benchmarks plan` turns a load into machines, and refuses what it cannot read."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from benchmarks.scaling import plan_command
from benchmarks.scaling.demand import Demand
from benchmarks.scaling.facts import Facts, facts_of
from benchmarks.scaling.limits import limits
from benchmarks.scaling.plan_report import bytes_of, report, table
from benchmarks.scaling.planning import Impossible, Need, Plan, make_plan
from benchmarks.scaling.points import FILE, load
from benchmarks.scaling.steady import largest_batch_seconds
from benchmarks.scaling.storage import networks, stored
from tests.support.pages import ROOT

SMALL = Demand(galleries=10_000, commands_per_second=50)
LARGE = Demand(galleries=10_000_000, commands_per_second=50_000)


@cache
def facts() -> Facts:
    return facts_of(load())


@cache
def plan_of(demand: Demand) -> Plan:
    return make_plan(facts(), demand)


def need(plan: Plan, part: str) -> Need:
    (found,) = (each for each in plan.needs if each.part == part)
    return found


def test_a_small_load_takes_one_of_each_and_the_replicas_of_the_servers() -> None:
    plan = plan_of(SMALL)
    assert (plan.shards, plan.partitions, plan.cached) == (1, 12, 1.0)
    assert need(plan, "command services").processes == need(plan, "projectors").processes == 1
    assert need(plan, "Kafka brokers").machines == need(plan, "MongoDB").machines == 3
    assert plan.disk_reads == 0


def test_no_part_is_used_more_than_the_utilisation() -> None:
    plan = plan_of(LARGE)
    for part, steady in plan.steady.items():
        seconds = largest_batch_seconds(facts().model, part, steady.processes, steady.given)
        assert LARGE.commands_per_second * seconds / steady.processes <= LARGE.utilisation
        assert steady.share_of_core <= 1.0
    assert need(plan, "gateways").cores / need(plan, "gateways").processes <= LARGE.utilisation
    servers = need(plan, "MongoDB")
    assert servers.cores / plan.shards <= LARGE.cores
    assert plan.disk_reads / plan.shards <= LARGE.disk_reads_per_machine
    assert need(plan, "Kafka brokers").cores / need(plan, "Kafka brokers").machines <= LARGE.cores


def test_every_lane_of_every_process_can_have_a_partition() -> None:
    plan = plan_of(LARGE)
    assert plan.partitions >= 3 * need(plan, "command services").processes
    assert plan.partitions % 12 == 0


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"commands_per_second": 100_000}, "command services"),
        ({"items_per_gallery": 90}, "projectors"),
        ({"listeners": 5.0}, "webhook relays"),
        ({"http_share": 0.9}, "gateways"),
        ({"reads_per_second": 30_000}, "gateways"),
        ({"cores_per_machine": 4}, "MongoDB"),
        ({"utilisation": 0.25}, "Kafka brokers"),
        ({"memory_per_machine": 16.0, "disk_reads_per_machine": 2_000.0}, "MongoDB"),
    ],
)
def test_more_to_do_or_less_to_do_it_with_takes_more(changed: dict[str, float], part: str) -> None:
    more = make_plan(facts(), replace(LARGE, **changed))  # type: ignore[arg-type]
    assert need(more, part).processes > need(plan_of(LARGE), part).processes


def test_popular_galleries_need_less_memory() -> None:
    assert plan_of(replace(LARGE, zipf=0.9)).disk_reads < plan_of(LARGE).disk_reads


def test_without_listeners_there_is_no_relay() -> None:
    plan = plan_of(replace(SMALL, listeners=0.0))
    assert "webhook relays" not in {each.part for each in plan.needs}
    assert "deliveries and their events" not in {each.what for each in stored(facts(), plan)}


def test_limits_are_ordered_and_no_machine_helps_a_popular_gallery() -> None:
    plan = plan_of(replace(LARGE, zipf=1.1))
    found = limits(facts(), plan)
    assert [each.per_second for each in found] == sorted(each.per_second for each in found)
    (popular,) = (each for each in found if each.of == "the most popular gallery")
    assert popular.per_second < LARGE.commands_per_second
    assert "No number of machines carries this: the most popular gallery ends at" in report(facts(), plan)
    assert "No number of machines" not in report(facts(), plan_of(LARGE))


def test_one_primary_carries_what_it_is_said_to_carry() -> None:
    plan = plan_of(replace(LARGE, listeners=0.0))
    (limit,) = (each for each in limits(facts(), plan) if each.of == "one MongoDB primary")
    below = replace(plan.demand, commands_per_second=0.95 * limit.per_second)
    above = replace(plan.demand, commands_per_second=1.1 * limit.per_second)
    assert (make_plan(facts(), below).shards, make_plan(facts(), above).shards) == (1, 2)


def test_bytes_grow_with_what_is_stored_and_for_how_long() -> None:
    plan = plan_of(SMALL)
    longer = replace(plan, demand=replace(SMALL, events_days=90.0))
    by_name = [{each.what: each.bytes for each in stored(facts(), one)} for one in (plan, longer)]
    assert by_name[1]["events topic"] == pytest.approx(3 * by_name[0]["events topic"])
    assert by_name[0]["outcomes of commands"] == by_name[1]["outcomes of commands"] > 0
    assert all(size > 0 for _, size in networks(facts(), plan))


def test_more_shards_than_anybody_has_are_refused() -> None:
    with pytest.raises(Impossible, match="shards are needed"):
        make_plan(facts(), replace(LARGE, commands_per_second=5_000_000, cores_per_machine=1))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--galleries 10", "required: --commands-per-second"),
        ("--galleries 0 --commands-per-second 5", "argument --galleries: 0 is not between 1 and"),
        ("--galleries ten --commands-per-second 5", "argument --galleries: invalid whole number value: 'ten'"),
        ("--galleries 1.5 --commands-per-second 5", "invalid whole number value: '1.5'"),
        ("--galleries 10 --commands-per-second nan", "nan is not between 1 and"),
        ("--galleries 10 --commands-per-second 5 --utilisation 1", "1 is not between 0.05 and 0.95"),
        ("--galleries 10 --commands-per-second 5 --http-share -1", "-1 is not between 0 and 1"),
        ("--galleries 10 --commands-per-second 5 --shards 5", "unrecognized arguments: --shards 5"),
    ],
)
def test_nonsense_is_refused(arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        plan_command.main(arguments.split())
    assert refused.value.code == 2
    assert complaint in capsys.readouterr().err


ASKED = ["--galleries", "10_000", "--commands-per-second", "1,000"]


def test_separators_in_numbers_are_read() -> None:
    demand, file = plan_command.parse(ASKED)
    assert (demand, file) == (Demand(10_000, 1_000), FILE)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "does not exist. Measure the points first: python -m benchmarks points"),
        (b"", "is not a file of points"),
        (b"{}", "is not a file of points"),
        (b'{"circumstances": {}, "points": [], "sizes": {}}', "lacks points"),
    ],
)
def test_a_wrong_file_of_points_is_named(
    content: bytes | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "points.json"
    if content is not None:
        file.write_bytes(content)
    assert plan_command.main([*ASKED, "--points", str(file)]) == 1
    assert complaint in capsys.readouterr().err


def test_the_command_prints_the_plan() -> None:
    command = [sys.executable, "-m", "benchmarks", "plan", *ASKED]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == report(facts(), plan_of(Demand(10_000, 1_000))) + "\n"


def test_tables_are_aligned() -> None:
    assert table([("part", "n", ""), ("brokers", "3", "why"), ("x", "12", "")]) == "\n".join(
        ["  part      n", "  brokers   3  why", "  x        12"]
    )


@pytest.mark.parametrize(("count", "text"), [(999, "999 bytes"), (2_048, "2.0 KiB"), (3 * 2**40, "3.0 TiB")])
def test_bytes_have_units(count: float, text: str) -> None:
    assert bytes_of(count) == text
