"""Simulates seeds from the command line, on all cores, prints what each has led to, and how to repeat a failure.

The order of sets of texts depends on Python's hash seed. So everything runs under a fixed one.
"""

import argparse
import gc
import json
import logging
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict
from functools import partial
from itertools import islice
from multiprocessing import get_context

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
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that simulate at the same time")
    parser.add_argument("--planted", choices=PLANTS, help="a fault to plant into the product")
    parser.add_argument("--json", action="store_true", help="one JSON object for each line that is read")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if given.json:
        return _serve()
    first = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    print(f"seeds from {first} on", flush=True)
    begun, steps, count, failed = time.monotonic(), 0, 0, 0
    jobs = 1 if given.seconds is None and given.count == 1 else given.jobs or 1
    for outcome in _outcomes(_seeds(first, given.count, given.seconds), given.planted, jobs):
        count, steps = count + 1, steps + outcome.steps
        if outcome.violations:
            failed += 1
            _report(outcome, given.planted)
    seconds = time.monotonic() - begun
    print(f"{count} seeds, {steps:,} steps, {seconds:.0f} s: {failed} broke a promise")
    return 1 if failed else 0


def _outcomes(seeds: Iterator[int], planted: str | None, jobs: int) -> Iterator[Outcome]:
    """What each seed has led to, as soon as it is known. Each seed is simulated in one process, in any of them."""
    gc.freeze()  # what is imported is not looked through after each seed
    play = partial(_play, planted)
    if jobs == 1:
        yield from map(play, seeds)
        return
    with ProcessPoolExecutor(jobs, get_context("fork")) as pool:
        running = {pool.submit(play, seed) for seed in islice(seeds, jobs)}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(play, seed) for seed in islice(seeds, len(ended))}
            for one in ended:
                yield one.result()


def _play(planted: str | None, seed: int) -> Outcome:
    if planted is None:
        return simulate(seed)
    return simulate(seed, PLANTS[planted], PLANTS[planted].wanted)


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
    """Simulate what each line of the input asks for: here, or in a process that has simulated nothing in between."""
    gc.freeze()
    with ProcessPoolExecutor(1, get_context("fork")) as other:
        other.submit(os.getpid).result()  # begins that process now
        for line in sys.stdin:
            asked = json.loads(line)
            play = partial(_play, asked.get("planted"), asked["seed"])
            outcome = other.submit(play).result() if asked.get("alone") else play()
            print(json.dumps(asdict(outcome)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
