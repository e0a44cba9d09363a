"""Measures what shards cost: benchmarks of the product on a replica set, and on clusters of one shard and of two.

`python -m tests.support.cluster.price [SCENARIO ...] [--rounds N]`. Processor time of mongod is that of all members and
of the config server. That of the router is not counted, because it is a stand-in: a Python process. It is in all
rates and latencies of the clusters, so compare these between the clusters only.
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
from typing import NamedTuple

from benchmarks.catalogue import find_scenarios
from benchmarks.report import Result, render
from benchmarks.runner import play
from benchmarks.scenario import Figures, Scenario
from benchmarks.servers import Servers, find_servers
from tests.support.cluster.servers import SHARDS, running_cluster
from tests.support.stack import MEMORY
from triptych.devstack.cache import cache_dir
from triptych.devstack.stack import Addresses, local_stack

SCENARIOS = ("command-latency", "commands", "projection")
PRODUCT = "product"


class Where(NamedTuple):
    """Servers to play on, and their processes."""

    addresses: Addresses
    servers: Servers | None


async def measure(scenario: Scenario, rounds: int, places: Mapping[str, Where], logs: Path) -> Result:
    """Play the product's variant of a scenario on all servers in turn; the variants of the result are the servers."""
    alone = replace(scenario, variants={PRODUCT: scenario.variants[PRODUCT]})
    played: dict[str, list[Figures]] = {name: [] for name in places}
    for _ in range(rounds):
        for name, (addresses, servers) in places.items():
            result = await play(alone, 1, addresses, logs, partial(_say, name), servers)
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
        alone = running.enter_context(local_stack(data_dir=data / "stack", keep=False))
        found = find_servers(alone)
        places = {"replica set": Where(alone, found)}
        for shards in (SHARDS[:1], SHARDS):
            name = f"{len(shards)} shard{'s'[: len(shards) - 1]}"
            cluster = running.enter_context(running_cluster(data / name.replace(" ", "-"), cache, shards))
            members = found and Servers(found.broker, cluster.mongods[0], cluster.mongods[1:])
            places[name] = Where(replace(alone, mongo_uri=cluster.mongo_uri), members)
        for name in arguments.scenarios or SCENARIOS:
            print(render(asyncio.run(measure(known[name], arguments.rounds, places, data / "logs"))), flush=True)


if __name__ == "__main__":
    main()
