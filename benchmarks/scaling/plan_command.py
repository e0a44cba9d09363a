"""The command `python -m benchmarks plan`: reads a demand, and prints the machines that it takes."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.scaling.demand import Demand
from benchmarks.scaling.facts import facts_of
from benchmarks.scaling.plan_report import report
from benchmarks.scaling.planning import Impossible, make_plan
from benchmarks.scaling.points import FILE, load

COMMAND = "python -m benchmarks plan"
_DEFAULTS = {field.name: field.default for field in fields(Demand)}


def parse(args: Sequence[str]) -> tuple[Demand, Path]:
    """The demand, and the file of the points. Raises SystemExit with a message if an argument is wrong."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Predict the machines that a load takes, from the measured points (docs/scaling.md)."
    )

    def add(name: str, kind: Callable[[str], float], meaning: str) -> None:
        default = _DEFAULTS[name]
        is_required = not isinstance(default, int | float)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            required=is_required,
            default=None if is_required else default,
            metavar="N",
            help=meaning if is_required else f"{meaning} ({default:,})",
        )

    add("galleries", _whole(1, 10**10), "galleries of the installation")
    add("commands_per_second", _number(1, 10**7), "commands, each of which changes one item and causes one event")
    add("items_per_gallery", _whole(1, 10**6), "items of a gallery")
    add("zipf", _number(0, 2), "exponent of the galleries' popularity: 0 chooses all equally, 1 follows Zipf's law")
    add("listeners", _number(0, 1_000), "listeners that want an event")
    add("http_share", _number(0, 1), "share of the commands that come over HTTP")
    add("reads_per_second", _number(0, 10**7), "pages of a gallery's items that are read over HTTP")
    add("cores_per_machine", _whole(1, 1_024), "cores of a machine, each like those of the measurement")
    add("memory_per_machine", _number(2, 10**5), "GiB of memory of a machine")
    add("disk_reads_per_machine", _number(1, 10**8), "random reads a second that the disk of a machine carries")
    add("utilisation", _number(0.05, 0.95), "share of the cores that may be used")
    add("replication", _whole(1, 7), "replicas of each topic, and members of each replica set of MongoDB")
    add("events_days", _number(0.01, 3_650), "days for which the events topic keeps its records")
    parser.add_argument("--points", type=Path, default=FILE, metavar="FILE", help="the measured points")
    parsed = vars(parser.parse_args(args))
    file = parsed.pop("points")
    return Demand(**parsed), file


def main(args: Sequence[str]) -> int:
    """Print the plan. The exit status is 1 if there is none."""
    demand, file = parse(args)
    if not file.is_file():
        print(f"{file} does not exist. Measure the points first: python -m benchmarks points", file=sys.stderr)
        return 1
    try:
        facts = facts_of(load(file))
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as problem:
        print(f"{file} lacks points, or is not a file of points: {problem}", file=sys.stderr)
        return 1
    try:
        print(report(facts, make_plan(facts, demand)))
    except Impossible as impossible:
        print(impossible, file=sys.stderr)
        return 1
    return 0


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text.replace(",", "").replace("_", ""))
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    read.__name__ = "number"  # argparse names it in its messages
    return read


def _whole(low: int, high: int) -> Callable[[str], float]:
    def read(text: str) -> int:
        value = int(text.replace(",", "").replace("_", ""))
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:,} and {high:,}")
        return value

    read.__name__ = "whole number"
    return read
