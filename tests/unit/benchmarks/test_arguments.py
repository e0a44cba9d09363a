"""The command line of the benchmarks."""

import pytest

from benchmarks.arguments import QUICK_ROUNDS, ROUNDS, Arguments, parse_arguments

KNOWN = ("write", "read")


def test_without_arguments_everything_is_measured_five_times() -> None:
    assert ROUNDS == 5
    assert parse_arguments([], KNOWN) == Arguments(("read", "write"), ROUNDS)


def test_scenarios_are_played_once_each_in_the_order_asked_for() -> None:
    assert parse_arguments(["write", "read", "write", "--rounds", "9"], KNOWN) == Arguments(("write", "read"), 9)


def test_quick_plays_three_rounds() -> None:
    assert parse_arguments(["--quick"], KNOWN).rounds == QUICK_ROUNDS == 3


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["wriet"], "no scenario is called wriet; there are read, write"),
        (["--rounds", "0"], "must be at least 1"),
        (["--rounds", "many"], "invalid"),
        (["--quick", "--rounds", "7"], "not allowed with"),
    ],
)
def test_nonsense_is_refused(args: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse_arguments(args, KNOWN)
    assert refused.value.code == 2
    assert complaint in capsys.readouterr().err
