"""The text and the JSON document of the figures."""

from pathlib import Path

import orjson
import pytest

from benchmarks.report import Result, render, write

RESULT = Result(
    "copying",
    "bytes from here to there",
    {
        "product": [{"events_per_second": 1_200.0}, {"events_per_second": 600.0}, {"events_per_second": 1_000.0}],
        "floor": [{"events_per_second": 2_000.0}, {"events_per_second": 1_200.0}, {"events_per_second": 2_500.0}],
    },
)


def test_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians() -> None:
    ratio = RESULT.ratios()["product/floor"]["events_per_second"]
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((0.5, 0.4, 0.6))


def test_variants_that_a_scenario_lacks_are_not_compared() -> None:
    assert set(RESULT.ratios()) == {"product/floor"}


def test_figures_that_only_one_side_has_are_not_compared() -> None:
    result = Result("s", "d", {"product": [{"rate": 2.0, "own": 1.0}], "floor": [{"rate": 4.0}]})
    assert set(result.ratios()["product/floor"]) == {"rate"}


def test_a_server_that_had_nothing_to_do_is_not_compared() -> None:
    figure = "broker_cpu_s_per_1000"
    result = Result("s", "d", {"product": [{figure: 2.0}, {figure: 1.0}], "floor": [{figure: 1.0}, {figure: 0.0}]})
    assert result.ratios() == {"product/floor": {}}


def test_text_shows_median_and_spread_of_each_variant() -> None:
    lines = [line.split() for line in render(RESULT).splitlines()]
    assert ["product", "events_per_second", "1,000", "(600..1,200)"] in lines
    assert ["floor", "events_per_second", "2,000", "(1,200..2,500)"] in lines
    assert ["product/floor", "events_per_second", "0.5", "(0.4..0.6)"] in lines


def test_document_holds_every_round_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    write(path, [], {"date": "before"})
    write(path, [RESULT], {"date": "now", "machine": {"cores": 2}})
    document = orjson.loads(path.read_bytes())
    assert document["date"] == "now"
    assert document["machine"] == {"cores": 2}
    written = document["scenarios"]["copying"]
    assert written["rounds"] == RESULT.rounds
    assert written["variants"]["product"]["events_per_second"] == {"median": 1_000.0, "low": 600.0, "high": 1_200.0}
    assert written["ratios"]["product/floor"]["events_per_second"]["median"] == pytest.approx(0.5)
    assert [entry.name for entry in path.parent.iterdir()] == ["latest.json"]
