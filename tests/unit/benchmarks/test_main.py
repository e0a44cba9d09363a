"""A run in which the product beats a floor fails, but keeps its figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from benchmarks import __main__ as program
from benchmarks.report import Result
from benchmarks.scenario import Scenario
from triptych.devstack.stack import Addresses


@pytest.mark.parametrize(("floor", "status"), [(900.0, 1), (1_100.0, 0)])
def test_a_beaten_floor_makes_the_exit_status_1(
    floor: float, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = {"product": [{"events_per_second": 1_000.0}] * 3, "floor": [{"events_per_second": floor}] * 3}

    @contextmanager
    def no_servers(**_: object) -> Iterator[Addresses]:
        yield Addresses("", "", "")

    async def no_versions(_: Addresses) -> dict[str, str]:
        return {}

    async def played(*_: object) -> Result:
        return Result("copying", "bytes", rounds)

    monkeypatch.setattr(program, "local_stack", no_servers)
    monkeypatch.setattr(program, "server_versions", no_versions)
    monkeypatch.setattr(program, "find_scenarios", lambda: {"copying": Scenario("copying", "bytes", {})})
    monkeypatch.setattr(program, "play", played)
    monkeypatch.setattr(program, "RESULTS", tmp_path / "latest.json")
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    assert program.main() == status
    assert orjson.loads((tmp_path / "latest.json").read_bytes())["scenarios"]["copying"]["rounds"] == rounds
    complained = (
        "copying: the product beats its floor in events_per_second: product/floor 1.11" in capsys.readouterr().err
    )
    assert complained == bool(status)
