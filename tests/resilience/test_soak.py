"""Under half of the highest rate, memory, delays and collections stay as they were (`make soak-memory`).

`TRIPTYCH_TEST_SOAK` sets the seconds, and `TRIPTYCH_TEST_SOAK_RATE` the commands a second instead of that half.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from tests.support.installation import Installation
from tests.support.receiver import Receiver, open_receiver
from tests.support.relay import Admin, relay_settings
from tests.support.restarts import Instances, instances
from tests.support.steady_state import SteadyState, percentiles, steady_state
from tests.support.waiting import eventually
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

SECONDS = float(os.environ.get("TRIPTYCH_TEST_SOAK", "0"))
RATE = float(os.environ.get("TRIPTYCH_TEST_SOAK_RATE", "0"))
WINDOW_SECONDS = min(300.0, SECONDS / 6)
"""The warm-up, the window after it and the last window, which are compared."""
SAMPLE_SECONDS, REPORT_SECONDS = 5.0, 120.0
BURST = 2_000
"""Commands that are sent at once to measure the highest rate."""
KEPT_SECONDS = 60
"""How long outcomes and published events are kept in this run, so that their collections reach their size."""
EXPIRY_SECONDS = 120
"""How late MongoDB may delete what has expired: it looks once a minute."""
GROWTH = 1.10
SERVICES = ("command", "projector", "webhooks", "gateway")
KEPT = {"processed_commands", "outbox"}
"""The collections whose documents expire during the run."""

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not SECONDS, reason="part of `make soak-memory`"),
    pytest.mark.timeout(SECONDS + 900),
]


class Sample(NamedTuple):
    """The resident bytes of each service, and the documents of each collection, at a second of the run."""

    at: float
    resident: Mapping[str, int]
    documents: Mapping[str, int]


async def burst_rate(load: SteadyState, received: "Received") -> float:
    """Commands a second that the product carries out and delivers, measured twice: the first time warms it up."""
    for _ in range(2):
        begun, before = time.monotonic(), received.count
        for _ in range(BURST):
            await load.send_one()
        await load.until_answered(240)
        await received.until(before + BURST)
        rate = BURST / (time.monotonic() - begun)
    return rate


class Received:
    """Counts what a receiver got, and forgets it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._forgotten = 0

    @property
    def count(self) -> int:
        """How many requests have come."""
        self._forgotten += len(self._receiver.requests)
        self._receiver.requests.clear()
        return self._forgotten

    async def until(self, count: int) -> None:
        """Wait for this number of requests."""

        async def are_there() -> bool:
            return self.count >= count

        await eventually(are_there, f"{count} deliveries", deadline_seconds=240)


async def sample(running: Instances, load: SteadyState) -> Sample:
    """What is to be seen now."""
    resident = {name: running.service(f"{name}-1").resident_bytes for name in SERVICES}
    database = running.installation.database
    names = sorted(await database.list_collection_names())
    documents = {name: await database[name].estimated_document_count() for name in names}
    return Sample(load.elapsed(), resident, documents)


def window(samples: list[Sample], since: float, until: float) -> dict[str, float]:
    """The median resident megabytes of each service in a part of the run."""
    found: dict[str, list[int]] = defaultdict(list)
    for one in samples:
        if since <= one.at < until:
            for name, size in one.resident.items():
                found[name].append(size)
    return {name: median(sizes) / 2**20 for name, sizes in found.items()}


async def test_nothing_grows_but_what_is_kept(installation: Installation, tmp_path: Path) -> None:
    await ensure_indexes(installation.database, INDEXES)
    admin = Admin(installation.database, make_sealer(relay_settings(installation)))
    async with (
        open_receiver() as receiver,
        instances(
            installation,
            tmp_path,
            are_forks=False,
            processed_retention=f"PT{KEPT_SECONDS}S",
            outbox_retention=f"PT{KEPT_SECONDS}S",
        ) as running,
    ):
        received = Received(receiver)
        listener = await admin.subscribe(receiver.url())
        # By listener, as the index has it: a scan of all deliveries would push everything else out of MongoDB's cache.
        pending = {"listenerId": listener.id, "status": "pending"}
        names = [f"{service}-1" for service in SERVICES]
        for name in names:
            running.start(name)
        await running.ready(*names)
        async with steady_state(installation) as load:
            rate = RATE or await burst_rate(load, received) / 2
            print(f"\n{rate:.0f} commands a second for {SECONDS:.0f} s", flush=True)
            begun, sent_before = load.elapsed(), load.sent
            sending = asyncio.create_task(load.send(rate))
            samples: list[Sample] = []
            while load.elapsed() < begun + SECONDS:
                await asyncio.sleep(SAMPLE_SECONDS)
                samples.append(await sample(running, load))
                assert received.count
                if sending.done():
                    sending.result()
                if len(samples) % round(REPORT_SECONDS / SAMPLE_SECONDS) == 0:
                    sizes = {name: round(size / 2**20) for name, size in samples[-1].resident.items()}
                    due = await installation.database["deliveries"].count_documents(pending)
                    half, most = percentiles(load.done, samples[-1].at - REPORT_SECONDS, samples[-1].at)
                    print(
                        f"{samples[-1].at - begun:5.0f} s {sizes} MiB, {load.pending} replies, {due} deliveries wait;"
                        f" p50 {half * 1_000:.0f} ms, p99 {most * 1_000:.0f} ms",
                        flush=True,
                    )
            ended = load.elapsed()
            sending.cancel()
            await asyncio.wait({sending})
            await load.until_answered(120)
            sent = load.sent - sent_before

            first = (begun + WINDOW_SECONDS, begun + 2 * WINDOW_SECONDS)
            last = (ended - WINDOW_SECONDS, ended)
            report(samples, load, first, last, sent / (ended - begun))

            async def all_delivered() -> bool:
                open_ones = await installation.database["deliveries"].count_documents(pending, limit=1)
                return received.count > 0 and not open_ones

            await eventually(all_delivered, "all is delivered", deadline_seconds=240)
    grown = judge(samples, load, first, last, sent / (ended - begun))
    assert not grown, grown


def report(
    samples: list[Sample], load: SteadyState, first: tuple[float, float], last: tuple[float, float], rate: float
) -> None:
    """Print what was seen."""
    print(f"{rate:.0f} commands a second were sent; the first and the last {WINDOW_SECONDS:.0f} s:")
    before, after = window(samples, *first), window(samples, *last)
    for name in SERVICES:
        print(f"  {name}: {before[name]:.1f} and {after[name]:.1f} MiB ({after[name] / before[name] - 1:+.1%})")
    for label, when in (("first", first), ("last", last)):
        half, most = percentiles(load.done, *when)
        print(f"  replies, {label}: p50 {half * 1_000:.0f} ms, p99 {most * 1_000:.0f} ms")
    start = next(one for one in samples if one.at >= first[0])
    for name, count in samples[-1].documents.items():
        print(f"  {name}: {start.documents.get(name, 0)} and {count} documents")


def judge(
    samples: list[Sample], load: SteadyState, first: tuple[float, float], last: tuple[float, float], rate: float
) -> list[str]:
    """What has grown that should not."""
    before, after = window(samples, *first), window(samples, *last)
    found = [
        f"{name}: {before[name]:.1f} to {after[name]:.1f} MiB"
        for name in SERVICES
        if after[name] > before[name] * GROWTH
    ]
    start = next(one for one in samples if one.at >= first[0])
    kept = rate * (KEPT_SECONDS + EXPIRY_SECONDS) * GROWTH + BURST
    for name, count in samples[-1].documents.items():
        if name in KEPT:
            limit = kept
        elif name in ("deliveries", "webhook_events"):
            limit = float(load.sent + len(samples))  # kept for a day at least: one for each event
        else:
            limit = max(start.documents.get(name, 0) * GROWTH, 1_500)
        if count > limit:
            found.append(f"{name}: {count} documents, more than {limit:.0f}")
    slower = [
        late / early for early, late in zip(percentiles(load.done, *first), percentiles(load.done, *last), strict=True)
    ]
    if slower[0] > 1.5:
        found.append(f"replies take {slower[0]:.1f} times as long")
    if slower[1] > 2:
        found.append(f"the slowest replies take {slower[1]:.1f} times as long")
    return found
