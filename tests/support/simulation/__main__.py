"""Simulates seeds from the command line, prints what each has led to, and how to repeat a failure.

The order of sets of texts depends on Python's hash seed. So everything runs under a fixed one.
"""

import argparse
import contextlib
import json
import logging
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

from tests.support.simulation.planted import PLANTS
from tests.support.simulation.run import Outcome, simulate

HASH_SEED = "0"


def main() -> int:
    """Run what the arguments say; 1 if a promise was broken."""
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.support.simulation", *sys.argv[1:]])  # noqa: S606
    parser = argparse.ArgumentParser(description="Simulate the services on models of Kafka and MongoDB.")
    parser.add_argument("--seed", type=int, help="the only seed, or the first one of --count")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="begin seeds for this long")
    parser.add_argument("--planted", choices=PLANTS, help="a fault to plant into the product")
    parser.add_argument("--json", action="store_true", help="one JSON object for each line that is read: seed, planted")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if given.json:
        return _serve()
    first = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    planted = PLANTS[given.planted] if given.planted else contextlib.nullcontext
    print(f"seeds from {first} on", flush=True)
    begun, steps, count, failed = time.monotonic(), 0, 0, 0
    for seed in _seeds(first, given.count, given.seconds):
        outcome = simulate(seed, planted)
        count, steps = count + 1, steps + outcome.steps
        if outcome.violations:
            failed += 1
            _report(outcome, given.planted)
    seconds = time.monotonic() - begun
    print(f"{count} seeds, {steps:,} steps, {seconds:.0f} s: {failed} broke a promise")
    return 1 if failed else 0


def _seeds(first: int, count: int, seconds: float | None) -> Iterator[int]:
    ends_at = None if seconds is None else time.monotonic() + seconds
    seed = first
    while time.monotonic() < ends_at if ends_at is not None else seed < first + count:
        yield seed
        seed += 1


def _report(outcome: Outcome, planted: str | None) -> None:
    repeat = f"python -m tests.support.simulation --seed {outcome.seed}" + (f" --planted {planted}" if planted else "")
    print(f"\nseed {outcome.seed} broke a promise; to repeat it: {repeat}")
    print(*outcome.log, "", *outcome.violations[:20], sep="\n", flush=True)


def _serve() -> int:
    """Simulate what each line of the input asks for."""
    for line in sys.stdin:
        asked = json.loads(line)
        planted = PLANTS[asked["planted"]] if asked.get("planted") else contextlib.nullcontext
        print(json.dumps(asdict(simulate(asked["seed"], planted))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
