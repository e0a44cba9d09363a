"""Points are kept in a file, and only those that are missing are measured."""

from pathlib import Path

import pytest

from benchmarks.scaling.points import Conditions, Measured, Point, Size, load, save
from benchmarks.scaling.run import DATA, parse
from benchmarks.scaling.schedule import ALL, by_cache

POINT = Point(Conditions("command", 100, zipf=1.0), "2026-11-28T00:50:00+00:00", {"seconds": 2.0, "cpu_command": 0.5})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    measured = Measured({"command": "c"}, [POINT], {"items": Size(10, 900.0, 500.0, 80.0)})
    save(measured, tmp_path / "points.json")
    assert load(tmp_path / "points.json") == measured
    assert load(tmp_path / "none.json") == Measured()


def test_a_point_is_measured_once() -> None:
    measured = Measured({}, [POINT], {})
    other = Conditions("command", 100)
    assert measured.missing([POINT.conditions, other]) == [other]


def test_the_size_of_the_larger_collection_is_kept() -> None:
    measured = Measured()
    for size in (Size(10, 1.0, 1.0, 1.0), Size(1_000, 2.0, 2.0, 2.0), Size(10, 3.0, 3.0, 3.0)):
        measured.keep_size("items", size)
    assert measured.sizes["items"].documents == 1_000


def test_conditions_are_named_by_what_is_not_usual() -> None:
    assert Conditions("command", 100).name == "command"
    assert Conditions("relay", 0, listeners=1, partitions=96).name == "relay, partitions 96, listeners 1, idle"
    assert Conditions("read", 5, galleries=1_000_000).name == "read, galleries 1,000,000"


def test_no_point_is_planned_twice_and_names_differ() -> None:
    assert len({each.name for each in ALL}) == len(ALL) == len(by_cache())


def test_small_caches_come_last() -> None:
    caches = [each.cache_mib for each in by_cache()]
    assert caches == sorted(caches, reverse=True)


def test_parts_can_be_chosen() -> None:
    assert parse([]).planned == ALL
    chosen = parse(["--part", "relay", "--minutes", "0.5"])
    assert {each.part for each in chosen.planned} == {"relay"}
    assert (chosen.seconds, chosen.data) == (30.0, DATA)


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--part", "gatway"])
    assert "invalid choice: 'gatway'" in capsys.readouterr().err
