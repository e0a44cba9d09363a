"""Plays the variants of a scenario in turn, each round with topics and a database of its own."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.figures import is_measured
from benchmarks.report import Result
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.servers import Servers, find_servers
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import open_database
from triptych.kit.startup.provision import ensure_topics


async def play(
    scenario: Scenario,
    rounds: int,
    addresses: Addresses,
    folder: Path,
    say: Callable[[str], None],
    servers: Servers | None = None,
) -> Result:
    """Play `rounds` rounds of each variant, in the order A B C A B C, so that other load on the machine affects all.

    The logs of child processes go to `folder`, progress messages to `say`. `servers` are the processes at these
    addresses, if the caller knows them; otherwise they are looked for.

    Raises:
        RoundFailed: a round failed. The figures of the other rounds are dropped.
    """
    servers = servers or find_servers(addresses)
    if servers is None:
        say("broker and mongod do not run on this machine: only the processor time of the services is measured")
    played: dict[str, list[Figures]] = {variant: [] for variant in scenario.variants}
    for number in range(1, rounds + 1):
        for variant, measure in scenario.variants.items():
            where = f"{scenario.name}, {variant}, round {number} of {rounds}"
            try:
                async with _fresh_round(addresses, folder, servers) as of_round:
                    figures = await measure(of_round)
            except RoundFailed as failure:
                raise RoundFailed(f"{where}: {failure}") from failure
            unmeasured = [name for name, value in figures.items() if not is_measured(name, value)]
            if unmeasured:
                raise RoundFailed(f"{where}: nothing was measured for {', '.join(unmeasured)}")
            played[variant].append(figures)
            say(f"{where}: " + ", ".join(f"{name} {value:,.4g}" for name, value in figures.items()))
    return Result(scenario.name, scenario.description, played)


@asynccontextmanager
async def _fresh_round(addresses: Addresses, folder: Path, servers: Servers | None) -> AsyncIterator[Round]:
    name = f"bench{uuid.uuid4().hex[:10]}"
    async with open_database(addresses.mongo_uri, name) as database:
        fresh = Round(addresses, name, database, folder, servers)
        settings = fresh.settings
        specs = [
            # Timestamps of the broker's clock are comparable, whichever process has produced the record.
            replace(spec, config={**spec.config, "message.timestamp.type": "LogAppendTime"})
            for spec in fresh.topics.catalogue(
                settings.topic_partitions, settings.topic_replication, reply_topics=settings.reply_topics
            )
        ]
        await ensure_topics(settings, specs)
        try:
            yield fresh
        finally:
            await database.client.drop_database(name)
            admin = AIOKafkaAdminClient(bootstrap_servers=addresses.kafka_bootstrap)
            await admin.start()
            try:
                await admin.delete_topics([spec.name for spec in specs])
            finally:
                await admin.close()
