"""Measures what shards cost: benchmarks of the product on a replica set, and on clusters of one shard and of two.

`python -m tests.support.cluster.price [SCENARIO ...] [--rounds N]`. The two clusters are compared with each other: both
have the stand-in for a router, a Python process, whose time is a large part of what the replica set does not need.
"""

import argparse
import asyncio
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.catalogue import find_scenarios
from benchmarks.report import Result, render
from benchmarks.runner import play
from benchmarks.scenario import Figures, Scenario
from tests.support.cluster.servers import SHARDS, running_cluster
from tests.support.stack import MEMORY
from triptych.devstack.cache import cache_dir
from triptych.devstack.stack import Addresses, local_stack

SCENARIOS = ("command-latency", "commands", "projection")
PRODUCT = "product"


async def measure(scenario: Scenario, rounds: int, servers: Mapping[str, Addresses], logs: Path) -> Result:
    """Play the product's variant of a scenario on all servers in turn; the variants of the result are the servers."""
    alone = replace(scenario, variants={PRODUCT: scenario.variants[PRODUCT]})
    played: dict[str, list[Figures]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, addresses in servers.items():
            result = await play(alone, 1, addresses, logs, partial(_say, name))
            played[name].extend(result.rounds[PRODUCT])
    return Result(scenario.name, scenario.description, played)


def _folder() -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="triptych-price-", dir=MEMORY if MEMORY.is_dir() else None)


def _say(server: str, line: str) -> None:
    print(f"{server}: {line}", flush=True)


def main() -> None:
    """Start the servers, measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cluster.price", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of: {', '.join(SCENARIOS)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="of each scenario on each of the servers (3)")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    known = find_scenarios()
    with _folder() as folder, ExitStack() as running:
        data, cache = Path(folder), cache_dir(os.environ)
        servers = {"replica set": running.enter_context(local_stack(data_dir=data / "stack", keep=False))}
        for shards in (SHARDS[:1], SHARDS):
            name = f"{len(shards)} shard{'s'[: len(shards) - 1]}"
            router = running.enter_context(running_cluster(data / name.replace(" ", "-"), cache, shards))
            servers[name] = replace(servers["replica set"], mongo_uri=router)
        for name in arguments.scenarios or SCENARIOS:
            print(render(asyncio.run(measure(known[name], arguments.rounds, servers, data / "logs"))), flush=True)


if __name__ == "__main__":
    main()
