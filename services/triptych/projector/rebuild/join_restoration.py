"""Restores the joined topic: finds galleries that differ from the write model, and has the projector republish them."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from triptych.contract.topics import Topics
from triptych.kit.kafka.layout import Layout
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.driver import Database
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.layouts import StoredLayout
from triptych.projector.ingest.republication import ITEMS_AT_ONCE, RepublicationRequests
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.join_check import compare_join, differences
from triptych.projector.rebuild.join_copy import JoinedCopy
from triptych.projector.rebuild.verification import Difference, unequal

POLL_SECONDS = 0.2
# How long the projector may make no progress. Requests stay stored, and the next projector that runs carries them out.
PATIENCE_SECONDS = 60.0
RESTORE_ATTEMPTS = 3
DIFFERENCES_SHOWN = 10


class ProgressReporter(Protocol):
    """Receives progress reports of long-running work."""

    def report(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` are done in this phase. `total` may grow."""


class JoinUnequal(Exception):
    """The joined topic differs from the write model."""

    def __init__(self, count: int, some: list[Difference], reason: str) -> None:
        lines = "\n".join(f"  {difference}" for difference in some)
        super().__init__(f"{count} galleries of the joined topic differ from the write model. {reason}\n{lines}")


async def restore_join(
    settings: KitSettings, database: Database, reporter: ProgressReporter, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Compare the joined topic with the write model, have the projector republish what differs, and compare again.

    The call can safely be repeated.

    Args:
        settings: the settings of Kafka.
        database: the database of the write model and the views.
        reporter: receives progress reports.
        patience_seconds: how long the projector may make no progress.

    Raises:
        JoinUnequal: no projector publishes, or galleries still differ afterwards.
        StartRefused, TransientFailure: Kafka or MongoDB is away.
    """
    topic = Topics(settings.topic_prefix).galleries
    requests = RepublicationRequests(database)
    layout = await StoredLayout(database, settings.topic_partitions).read()
    async with JoinedCopy(settings, topic, layout) as copy:
        await copy.read(lambda done, total: reporter.report("joined records read", done, total))
        await compare_join(database, copy, lambda done, total: reporter.report("joined galleries", done, total))
        for _ in range(RESTORE_ATTEMPTS):
            if not copy.count_suspects():
                return
            await _request(layout, copy, requests)
            if not await _until_published(requests, reporter, patience_seconds):
                reason = "They are published again as soon as a projector runs."
                raise JoinUnequal(copy.count_suspects(), await differences(database, copy, DIFFERENCES_SHOWN), reason)
            await compare_join(database, copy, lambda *_: None)
        if count := copy.count_suspects():
            some = await differences(database, copy, DIFFERENCES_SHOWN)
            raise JoinUnequal(count, some, "Publishing them again did not help.")


async def request_differing(settings: KitSettings, database: Database, report: Callable[[str, int, int], None]) -> int:
    """Store a request for each gallery of the joined topic that differs from the write model, while nothing changes.

    A projector that starts later publishes them.

    Returns:
        The number of these galleries.

    Raises:
        StartRefused, TransientFailure: Kafka or MongoDB is away. The call can safely be repeated.
    """
    written = GalleryStore(database)
    layout = await StoredLayout(database, settings.topic_partitions).read()
    async with JoinedCopy(settings, Topics(settings.topic_prefix).galleries, layout) as copy:
        await copy.read(lambda done, total: report("joined records read", done, total))
        total, done = await written.count(), 0
        async for ids in written.ids():
            copy.suspect(unequal(ids, await written.digests(ids), copy.digests(ids)))
            done += len(ids)
            report("joined galleries", done, max(done, total))
        for ids in copy.ids():
            copy.suspect(dict.fromkeys(set(ids) - await written.known(ids), 0))
        await _request(layout, copy, RepublicationRequests(database))
        return copy.count_suspects()


async def _request(layout: Layout, copy: JoinedCopy, requests: RepublicationRequests) -> None:
    """Store a request for each suspect, with the gallery's item ids in the topic."""
    for chunk in copy.all_suspects():
        for gallery_id in chunk:
            partition, after, number = partition_of(gallery_id.encode(), layout.partitions), "", 0
            while len(item_ids := copy.item_ids(gallery_id, after, ITEMS_AT_ONCE)) == ITEMS_AT_ONCE:
                await requests.add(gallery_id, partition, item_ids, number)
                after, number = item_ids[-1], number + 1
            await requests.add(gallery_id, partition, item_ids)


async def _until_published(
    requests: RepublicationRequests, reporter: ProgressReporter, patience_seconds: float
) -> bool:
    total = left = await requests.count()
    waited_since = time.monotonic()
    while left:
        if time.monotonic() - waited_since > patience_seconds:
            return False
        await asyncio.sleep(POLL_SECONDS)
        before, left = left, await requests.count()
        total = max(total, left)
        if left != before:
            waited_since = time.monotonic()
        reporter.report("published to the join", total - left, total)
    return True
