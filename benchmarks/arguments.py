"""Reads the command line of `python -m benchmarks`."""

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass

ROUNDS = 5
QUICK_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Arguments:
    """The scenarios to measure, and the number of rounds."""

    scenarios: tuple[str, ...]
    rounds: int


def parse_arguments(args: Sequence[str], known: Collection[str]) -> Arguments:
    """The parsed arguments. Without names, they are all `known` scenarios. Raises SystemExit if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the product against a floor and a naive service."
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of: {', '.join(sorted(known))} (all)")
    count = parser.add_mutually_exclusive_group()
    count.add_argument("--rounds", type=_positive, default=ROUNDS, help=f"of each variant ({ROUNDS})")
    count.add_argument("--quick", action="store_const", dest="rounds", const=QUICK_ROUNDS, help="three rounds")
    parsed = parser.parse_args(args)
    unknown = sorted(set(parsed.scenarios) - set(known))
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return Arguments(tuple(dict.fromkeys(parsed.scenarios)) or tuple(sorted(known)), parsed.rounds)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
