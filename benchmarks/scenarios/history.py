"""Measures what a history costs: the same waiting events become views and joined records, without and with it."""

import asyncio
import time
from functools import partial

from benchmarks.event_workload import EventWorkload
from benchmarks.process import peak_rss_mib
from benchmarks.projecting import caught_up, check, fill
from benchmarks.scenario import Figures, Round, RoundFailed, Scenario
from benchmarks.usage import per_thousand
from triptych.history.documents import HISTORY_EVENTS
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.app import indexes

GALLERIES = 1_000
EVENTS = 100_000
RETENTION_SECONDS = 20 * 365 * 86_400
"""The events of the workload are of one day in the past, and none of them may expire."""
STOP_SECONDS = 30.0


async def _measure(of_round: Round, retention: int) -> Figures:
    workload = EventWorkload(GALLERIES)
    count = await fill(of_round, workload.beginnings()) + await fill(of_round, workload.changes(EVENTS))
    await ensure_indexes(of_round.database, indexes())
    child = of_round.start("triptych.projector", projector_port=0, history_retention=retention)
    meter = of_round.meter([child])
    begun, started = meter.read(), time.monotonic()
    try:
        await caught_up(of_round, child, "projector.v1")
        projected = time.monotonic()
        if retention:
            await caught_up(of_round, child, "history.v1")
        figures = {
            "events_per_second": count / (time.monotonic() - started),
            "projected_per_second": count / (projected - started),
            **per_thousand(begun, meter.read(), count),
            "peak_rss_mib": peak_rss_mib(child.pid),
        }
    finally:
        await asyncio.to_thread(child.stop, STOP_SECONDS)
    await check(of_round, workload)
    if retention and (rows := await of_round.database[HISTORY_EVENTS].count_documents({})) != count:
        raise RoundFailed(f"the history has {rows} events, not {count}")
    return figures


SCENARIO = Scenario(
    name="history",
    description=f"{EVENTS:,} waiting events of {GALLERIES:,} galleries, to views and joined records, without and with"
    " a history; start-up included",
    variants={"off": partial(_measure, retention=0), "on": partial(_measure, retention=RETENTION_SECONDS)},
)
