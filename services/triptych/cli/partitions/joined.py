"""Moves the joined topic to new partitions: publishes every gallery again, and later deletes the records from before.

After a growth, the former partition of a gallery that has moved still has its records. They cannot be removed by
tombstones: for consumers, a tombstone says that the gallery is deleted. So every gallery is published again, and then
the records from before are deleted as such. Consumers that are behind get a day for that, as for tombstones.
"""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

from triptych.client import TOMBSTONE_RETENTION
from triptych.contract.topics import Topics
from triptych.kit.failures import StartRefused, TransientFailure
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.kafka.topic_changes import changing_topics
from triptych.kit.mongo.driver import Database
from triptych.kit.own_command import as_typed
from triptych.kit.process.clock import utc_now
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.layouts import Phase, States, StoredLayout
from triptych.projector.ingest.republication import RepublicationRequests
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.join_restoration import ProgressReporter
from triptych.readmodel.versions import Versions, names_of

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
"""How long the projector may make no progress."""
DELETABLE = {"cleanup.policy": "compact,delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""With this configuration, Kafka deletes records when it is told to, and none by itself."""


class JoinedTopic:
    """The joined topic of an installation after its last growth."""

    def __init__(self, settings: KitSettings, database: Database, reporter: ProgressReporter) -> None:
        self._settings = settings
        self._database = database
        self._reporter = reporter
        self._topic = Topics(settings.topic_prefix).galleries
        self._stored = StoredLayout(database, settings.topic_partitions)
        self._requests = RepublicationRequests(database)

    async def publish_again(self, group: str) -> None:
        """Have the projector publish every gallery again, and wait for it. Does nothing if that was done.

        Args:
            group: the consumer group of the projector.

        Raises:
            TransientFailure: no projector publishes, or a server stopped answering. Another run resumes.
        """
        states = await self._stored.states()
        if states is not None and states.phase is Phase.GROWN:
            await self._until_claimed(group, states)
            states = await self._request_all(states)
        if states is not None and states.phase is Phase.PUBLISHING:
            await self._until_published()
            await self._stored.advance(replace(states, phase=Phase.PUBLISHED, published_at=utc_now()))

    async def trim(self, after: timedelta = TOMBSTONE_RETENTION) -> bool:
        """Delete the records from before the growth; False if there are none.

        Args:
            after: how long after everything was published again. Consumers that are further behind lose records.

        Raises:
            StartRefused: it is too early.
            TransientFailure: a server stopped answering. Another run resumes.
        """
        states = await self._stored.states()
        if states is None or states.phase is Phase.TRIMMED:
            return False
        if states.phase is not Phase.PUBLISHED or states.published_at is None:
            raise StartRefused(f"Not all galleries are published again. Run: {as_typed('partitions grow')}")
        due = states.published_at + after
        if utc_now() < due:
            raise StartRefused(f"Consumers may still need the records. Run it again after {due:%Y-%m-%d %H:%M} UTC.")
        async with TopicOffsets(self._settings, self._topic) as offsets:
            is_same = str(await offsets.topic_id()) == states.topic_id
        async with changing_topics(self._settings) as changes:
            if is_same:
                before = await changes.configure(self._topic, DELETABLE)
                await changes.delete_before(self._topic, states.offsets)
                if before["cleanup.policy"] == DELETABLE["cleanup.policy"]:  # an earlier run was interrupted
                    before = dict.fromkeys(DELETABLE) | {"cleanup.policy": "compact"}
                await changes.configure(self._topic, before)
            await changes.configure(self._topic, states.configuration)
        await self._stored.advance(replace(states, phase=Phase.TRIMMED))
        return True

    async def _until_claimed(self, group: str, states: States) -> None:
        """Wait until the projector works by the new number: it has claimed all former partitions since the growth."""
        claims = self._database[names_of(await Versions(self._database).active()).galleries]
        ids = [{"scope": group, "partition": partition} for partition in range(states.former)]
        ends = time.monotonic() + PATIENCE_SECONDS
        while await claims.count_documents({"_id": {"$in": ids}, "token": states.claimed_by}):
            if time.monotonic() > ends:
                raise TransientFailure("no projector runs; start one, and run the command again")
            await asyncio.sleep(POLL_SECONDS)

    async def _request_all(self, states: States) -> States:
        async with TopicOffsets(self._settings, self._topic) as offsets:
            topic_id, ends = str(await offsets.topic_id()), await offsets.ends(range(states.former))
        written, counts = GalleryStore(self._database), LiveCounts((), states.partitions)
        total, done = await written.count(), 0
        async for ids in written.ids():
            await self._requests.add_whole(ids, counts.place)
            done += len(ids)
            self._reporter.report("galleries to be published", done, max(done, total))
        states = replace(states, phase=Phase.PUBLISHING, topic_id=topic_id, offsets=ends)
        await self._stored.advance(states)
        return states

    async def _until_published(self) -> None:
        total = left = await self._requests.count()
        ends = time.monotonic() + PATIENCE_SECONDS
        while left:
            if time.monotonic() > ends:
                raise TransientFailure(f"{left} galleries wait to be published by a projector; run the command again")
            await asyncio.sleep(POLL_SECONDS)
            before, left = left, await self._requests.count()
            total = max(total, left)
            if left != before:
                ends = time.monotonic() + PATIENCE_SECONDS
            self._reporter.report("published to the join", total - left, total)
