"""Brings the joined topic to what the write model is: finds what differs, and has the projector publish it again."""

import asyncio
import time
from typing import Protocol

from triptych.contract.topics import Topics
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.driver import Database
from triptych.kit.process.settings import KitSettings
from triptych.projector.ingest.republication import ITEMS_AT_ONCE, RepublicationRequests
from triptych.projector.rebuild.join_check import compare_join, differences
from triptych.projector.rebuild.join_copy import JoinedCopy
from triptych.projector.rebuild.verification import Difference

LOOK_SECONDS = 0.2
# Without a projector nobody publishes. What was asked for stays, and is published by the next one that runs.
PATIENCE_SECONDS = 60.0
RESTORE_ATTEMPTS = 3
TOLD = 10


class Listener(Protocol):
    """Hears how far long work has come."""

    def tell(self, phase: str, done: int, total: int) -> None:
        """`done` of `total`, which may grow, in this phase."""


class JoinUnequal(Exception):
    """The joined topic is not what the write model is."""

    def __init__(self, count: int, some: list[Difference], reason: str) -> None:
        lines = "\n".join(f"  {difference}" for difference in some)
        super().__init__(f"{count} galleries of the joined topic differ from the write model. {reason}\n{lines}")


async def restore_join(
    settings: KitSettings, database: Database, listener: Listener, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Compare, have the projector publish what differs, and compare again. Doing it again does no harm.

    Raises:
        JoinUnequal: nobody publishes, or it does not help.
        StartRefused, TransientFailure: Kafka or MongoDB is away.
    """
    topic = Topics(settings.topic_prefix).galleries
    requests = RepublicationRequests(database)
    async with JoinedCopy(settings, topic) as copy:
        await copy.read(lambda done, total: listener.tell("joined records read", done, total))
        await compare_join(database, copy, lambda done, total: listener.tell("joined galleries", done, total))
        for _ in range(RESTORE_ATTEMPTS):
            if not copy.count_suspects():
                return
            await _ask(settings, copy, requests)
            if not await _until_published(requests, listener, patience_seconds):
                reason = "They are published again as soon as a projector runs."
                raise JoinUnequal(copy.count_suspects(), await differences(database, copy, TOLD), reason)
            await compare_join(database, copy, lambda *_: None)
        if count := copy.count_suspects():
            some = await differences(database, copy, TOLD)
            raise JoinUnequal(count, some, "Publishing them again did not help.")


async def _ask(settings: KitSettings, copy: JoinedCopy, requests: RepublicationRequests) -> None:
    """Leave a request for each suspect, with the items that the topic has of it."""
    last = ""
    while part := copy.suspects(last):
        for gallery_id in part:
            partition, after, number = partition_of(gallery_id.encode(), settings.topic_partitions), "", 0
            while len(item_ids := copy.item_ids(gallery_id, after, ITEMS_AT_ONCE)) == ITEMS_AT_ONCE:
                await requests.add(gallery_id, partition, item_ids, number)
                after, number = item_ids[-1], number + 1
            await requests.add(gallery_id, partition, item_ids)
        last = max(part)


async def _until_published(requests: RepublicationRequests, listener: Listener, patience_seconds: float) -> bool:
    total = left = await requests.count()
    waited_since = time.monotonic()
    while left:
        if time.monotonic() - waited_since > patience_seconds:
            return False
        await asyncio.sleep(LOOK_SECONDS)
        before, left = left, await requests.count()
        total = max(total, left)
        if left != before:
            waited_since = time.monotonic()
        listener.tell("published to the join", total - left, total)
    return True
