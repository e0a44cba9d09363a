"""Measures how fast the views of 200,000 items are rebuilt and compared: `triptych rebuild`, and a bulk insert.

`events_per_second` is the rate up to the switch to the new views. After it, the product also compares the joined topic
with the write model, item by item; `seconds` includes that.
"""

import asyncio
import time
from datetime import timedelta

from benchmarks.event_workload import EventWorkload
from benchmarks.process import ended_cpu_seconds, peak_rss_mib
from benchmarks.projecting import caught_up, fill
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from triptych.command.store import documents as write_model
from triptych.kit.mongo.fencing import all_documents
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes
from triptych.readmodel.documents import gallery_document, item_document
from triptych.readmodel.versions import Versions, names_of

GALLERIES = 2_000
FILLED = 100
DEADLINE_SECONDS = 300.0
STORED_AT_ONCE = 5_000
NEW = 2
"""The version of the views that is built."""
FLOOR_LANES = 2


async def product(of_round: Round) -> Figures:
    """The command `triptych rebuild`."""
    return await _measure(of_round, "triptych.cli", "rebuild")


async def floor(of_round: Round) -> Figures:
    """A bulk insert of the final documents, and then the indexes."""
    return await _measure(of_round, "benchmarks.baselines.rebuild_floor", str(NEW), str(FLOOR_LANES))


async def _measure(of_round: Round, module: str, *args: str) -> Figures:
    """Run a process to its end, with a complete topic, write model and old views, and check the new views."""
    workload = EventWorkload(GALLERIES, FILLED)
    events = await fill(of_round, workload.beginnings())
    await _store(of_round, workload)
    await _project(of_round)
    meter = of_round.meter([])
    usage, ended = meter.read(), ended_cpu_seconds()
    started, peak, switched = time.monotonic(), 1.0, None
    versions = Versions(of_round.database)
    child = of_round.start(module, *args)
    try:
        while child.poll() is None:
            if time.monotonic() > started + DEADLINE_SECONDS:
                raise RoundFailed(f"not done after {DEADLINE_SECONDS:g} s")
            peak = max(peak, _peak(child.pid))
            if switched is None and await versions.active() == NEW:
                switched = time.monotonic()
            await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(child.stop, 10)
    seconds = time.monotonic() - started
    views_seconds = switched - started if switched else seconds  # the floor has no old views to switch from
    used = meter.since(usage, events, ended_cpu_seconds() - ended)
    if child.poll() != 0:
        raise RoundFailed(f"ended with exit code {child.poll()}.\n{child.log.read_text(errors='replace')[-2_000:]}")
    names = names_of(NEW)
    heads = {found["_id"]: found async for found in all_documents(of_round.database[names.galleries])}
    items = {found["item"]["id"]: found async for found in of_round.database[names.items].find({})}
    workload.check_views(heads, items)
    rates = {"events_per_second": events / views_seconds, "views_seconds": views_seconds, "seconds": seconds}
    return {**rates, **used, "peak_rss_mib": peak}


async def _project(of_round: Round) -> None:
    """Let the projector build the old views and the joined topic, which the product compares at its end."""
    projector = of_round.start("triptych.projector", projector_port=0)
    try:
        await caught_up(of_round, projector, "projector.v1")
    finally:
        await asyncio.to_thread(projector.stop, 30)


async def _store(of_round: Round, workload: EventWorkload) -> None:
    """Store the documents that the command service would have stored."""
    database = of_round.database
    await ensure_indexes(database, {**write_model.indexes(timedelta(days=7)), **indexes()})
    for start in range(0, GALLERIES, STORED_AT_ONCE // FILLED):
        chunk = workload.galleries[start : start + STORED_AT_ONCE // FILLED]
        views = [
            gallery_document("default", state.head, total_items=len(state.items), sequence=state.sequence)
            for state in chunk
        ]
        item_views = [
            item_document("default", state.gallery_id, item, sequence)
            for state in chunk
            for sequence, item in state.items.values()
        ]
        await database["galleries"].insert_many([{**view, "status": "live"} for view in views])
        await database["items"].insert_many([{**view, "_id": view["item"]["id"]} for view in item_views])


def _peak(pid: int) -> float:
    try:
        return peak_rss_mib(pid)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return 1.0  # the process has just ended


SCENARIO = Scenario(
    name="rebuild",
    description=f"{GALLERIES * FILLED:,} items in {GALLERIES:,} galleries, from the events topic to a new version",
    variants={"product": product, "floor": floor},
)
