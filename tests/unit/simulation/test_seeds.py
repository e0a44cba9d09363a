"""The services keep their promises in simulated runs, a seed replays exactly, and planted faults are found."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulation.planted import PLANTS

ROOT = Path(__file__).resolve().parents[3]
SEEDS = 7
SEEDS_PER_PLANT = 3
"""A planted fault is found by one of so many seeds, from that of `PLANTS` on."""

Simulate = Callable[..., dict[str, Any]]


def start() -> subprocess.Popen[str]:
    """A process that simulates seeds under a fixed hash seed of Python, whatever the hash seed of the tests is."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in ("", "services", "schemas"))}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.simulation", "--json"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], seed: int, planted: str | None = None) -> dict[str, Any]:
    """What a seed has led to."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"seed": seed, "planted": planted}) + "\n")
    process.stdin.flush()
    outcome: dict[str, Any] = json.loads(process.stdout.readline())
    return outcome


@pytest.fixture(scope="module")
def simulate() -> Iterator[Simulate]:
    """Simulates a seed, with a planted fault if one is named."""
    with start() as process:
        yield lambda seed, planted=None: ask(process, seed, planted)
        process.terminate()


def test_the_services_keep_their_promises(simulate: Simulate) -> None:
    steps = 0
    for seed in range(SEEDS):
        outcome = simulate(seed)
        assert not outcome["violations"], (
            f"repeat it: python -m tests.support.simulation --seed {seed}",
            outcome["violations"],
            outcome["log"],
        )
        steps += outcome["steps"]
    assert steps > 40_000  # otherwise hardly anything was tried


def test_a_seed_replays_exactly(simulate: Simulate) -> None:
    first, again = simulate(3), simulate(3)
    assert first == again
    assert first["trace"] != simulate(4)["trace"]
    with start() as process:
        assert ask(process, 3) == first
        process.terminate()


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(simulate: Simulate, name: str) -> None:
    first = PLANTS[name].first_seed
    seeds = range(first, first + SEEDS_PER_PLANT)
    assert any(simulate(seed, name)["violations"] for seed in seeds)
