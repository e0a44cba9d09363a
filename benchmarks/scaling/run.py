"""Measures the points that are missing in the file: `python -m benchmarks points [--minutes N] [--part PART ...]`.

It stops after a number of minutes, and continues with the next call. Galleries are stored once, in a folder that stays.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe_machine, package_versions, server_versions
from benchmarks.scaling import measuring, stored
from benchmarks.scaling.measuring_http import MEASURES
from benchmarks.scaling.points import FILE, PARTS, Conditions, Measured, Point, load, save
from benchmarks.scaling.schedule import ALL, by_cache
from benchmarks.scenario import ROOT, RoundFailed
from benchmarks.servers import find_servers
from triptych.devstack.stack import Addresses, StackUnavailable, local_stack
from triptych.kit.mongo.driver import open_database

DATA = ROOT / ".triptych" / "scaling"
COMMAND = "python -m benchmarks points"


@dataclass(frozen=True, slots=True)
class Arguments:
    """What to measure, for how long, and where the points and the data of the servers are."""

    planned: tuple[Conditions, ...]
    seconds: float
    file: Path
    data: Path
    prepare_only: bool


def parse(args: Sequence[str]) -> Arguments:
    """The parsed arguments. Raises SystemExit if they are wrong."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure what operations cost at several scales.")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no point after this time (60)")
    parser.add_argument("--part", choices=PARTS, action="append", help="measure only this part (all)")
    parser.add_argument("--file", type=Path, default=FILE, help="the file of the points")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the servers' data, which stays")
    parser.add_argument("--prepare", action="store_true", help="only store the galleries that the points need")
    parsed = parser.parse_args(args)
    planned = tuple(each for each in ALL if each.part in (parsed.part or PARTS))
    return Arguments(planned, 60 * parsed.minutes, parsed.file, parsed.data, parsed.prepare)


def main(args: Sequence[str]) -> int:
    """Measure; the exit status is 1 if a point failed."""
    arguments = parse(args)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        with local_stack(data_dir=arguments.data) as addresses:
            return asyncio.run(_run(arguments, addresses))
    except (RoundFailed, StackUnavailable) as failure:
        print(failure, file=sys.stderr)
        return 1


async def _run(arguments: Arguments, addresses: Addresses) -> int:
    servers = find_servers(addresses)
    if servers is None:
        raise StackUnavailable("Broker and mongod have to be processes of this machine: set TRIPTYCH_STACK=processes.")
    deadline = time.monotonic() + arguments.seconds
    measured = load(arguments.file)
    missing = by_cache(measured.missing(arguments.planned))
    measured.circumstances = {
        "command": COMMAND,
        "machine": describe_machine(),
        "servers": await server_versions(addresses),
        "packages": package_versions(),
    }
    save(measured, arguments.file)
    failed = 0
    for conditions in missing:
        if _is_prepared(conditions):
            await _prepare(conditions, addresses)
        if arguments.prepare_only:
            continue
        if time.monotonic() > deadline:
            _say(f"{len(measured.missing(arguments.planned))} points are still missing")
            break
        measure = MEASURES.get(conditions.part, measuring.measure)
        began = time.monotonic()
        try:
            figures = await measure(conditions, addresses, servers, arguments.data / "logs", measured)
        except RoundFailed as failure:
            failed += 1
            _say(f"{conditions.name}: {failure}")
            continue
        date = datetime.now(UTC).isoformat(timespec="seconds")
        measured.points.append(Point(conditions, date, figures))
        save(measured, arguments.file)
        _say(f"{conditions.name}: {summary(conditions, figures)} ({time.monotonic() - began:.0f} s)")
    for name in {stored.name_of(each.galleries, each.items) for each in arguments.planned if _is_prepared(each)}:
        await _keep_sizes(name, addresses, measured)
    save(measured, arguments.file)
    return 1 if failed else 0


def _is_prepared(conditions: Conditions) -> bool:
    """Whether a point needs galleries that were stored before."""
    return conditions.part not in ("write", "relay")


async def _prepare(conditions: Conditions, addresses: Addresses) -> None:
    """Store what a point needs, unless it is there."""
    galleries, items = conditions.galleries, conditions.items
    async with open_database(addresses.mongo_uri, stored.name_of(galleries, items)) as database:
        await stored.prepare(database, conditions.part, galleries, items, _say)


async def _keep_sizes(name: str, addresses: Addresses, measured: Measured) -> None:
    """Keep the sizes of the documents of a database with galleries."""
    async with open_database(addresses.mongo_uri, name) as database:
        for collection in stored.KEPT:
            if size := await stored.size_of(database, collection):
                measured.keep_size(collection, size)


def summary(conditions: Conditions, figures: dict[str, float]) -> str:
    """The rate and the processor time of a point in one line."""
    count = conditions.operations
    cpu = {name.removeprefix("cpu_"): value for name, value in figures.items() if name.startswith("cpu_")}
    if not count:
        return ", ".join(f"{name} {1000 * value / figures['seconds']:.0f} ms/s" for name, value in cpu.items())
    costs = ", ".join(f"{name} {1_000 * value / count:.3f}" for name, value in cpu.items())
    return f"{count / figures['seconds']:,.0f}/s; ms each: {costs}; batches {figures.get('batches', 0):.0f}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
