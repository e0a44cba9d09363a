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
SEEDS = (6, 22, 38, 43, 55)
PARTS = {"relays", "jobs", "history", "rebuild", "growth"}
SEEDS_PER_PLANT = 3
"""How many seeds are tried for a planted fault, from that of `PLANTS` on: one of them has to find it."""

Simulate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def simulate() -> Iterator[Simulate]:
    """Simulates a seed, with a planted fault if one is named, under a fixed hash seed of Python.

    With `alone`, a process does it that simulates nothing else. Otherwise a seed is simulated once.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in ("", "services", "schemas"))}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.simulation", "--json"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asking, answers = process.stdin, process.stdout

        known: dict[tuple[int, str | None], dict[str, Any]] = {}

        def ask(seed: int, planted: str | None = None, *, alone: bool = False) -> dict[str, Any]:
            if not alone and (seed, planted) in known:
                return known[seed, planted]
            asking.write(json.dumps({"seed": seed, "planted": planted, "alone": alone}) + "\n")
            asking.flush()
            outcome: dict[str, Any] = json.loads(answers.readline())
            return outcome if alone else known.setdefault((seed, planted), outcome)

        yield ask
        asking.close()  # ends it


def test_the_services_keep_their_promises(simulate: Simulate) -> None:
    steps, parts = 0, set()
    for seed in SEEDS:
        outcome = simulate(seed)
        assert not outcome["violations"], (
            f"repeat it: python -m tests.support.simulation --seed {seed}",
            outcome["violations"],
            outcome["log"],
        )
        steps += outcome["steps"]
        parts |= set(outcome["parts"])
    assert steps > 40_000  # otherwise hardly anything was tried
    assert parts == PARTS


def test_a_seed_replays_exactly(simulate: Simulate) -> None:
    first = simulate(43)
    assert first == simulate(43, alone=True)
    assert first["trace"] != simulate(55)["trace"]


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(simulate: Simulate, name: str) -> None:
    first = PLANTS[name].first_seed
    seeds = range(first, first + SEEDS_PER_PLANT)
    assert any(simulate(seed, name)["violations"] for seed in seeds)
