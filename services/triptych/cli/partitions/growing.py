"""Adds partitions to all topics of a running installation, step by step (decision 40).

1. The topics get their partitions. Producers see the new ones within some minutes; until then, and until step 3, all
   services place records by the former number, and forward commands that come on a new partition.
2. Producers get time to notice, so that none of them uses the former number afterwards.
3. Nobody writes for a moment: all partitions are claimed, the outbox is published, the ends of the topics are noted,
   and jobs, parked commands and requests move to the partitions of their galleries. Then the new number counts.
4. All galleries are published to the joined topic again, each on its partition (`triptych.cli.partitions.joined`).

A step that was done is not done again, so that an interrupted run can be repeated.
"""

import asyncio
import time
from collections.abc import Mapping

from triptych.cli.settings import CliSettings
from triptych.command.store.jobs import JobStore
from triptych.command.store.outbox import Outbox
from triptych.command.store.repairs import refuse_unfinished_repair
from triptych.contract.topics import COMMANDS, EVENTS, Topics
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.layout import Growth, LiveCounts, TopicEnds
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.kafka.topic_changes import changing_topics
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.own_command import as_typed
from triptych.kit.startup.layout_watch import IDLE_SECONDS
from triptych.kit.startup.layouts import Phase, StoredLayout
from triptych.kit.upgrading.adoption import adopt, exclude_older
from triptych.projector.ingest.republication import RepublicationRequests
from triptych.projector.rebuild.join_restoration import ProgressReporter
from triptych.readmodel.versions import Versions, names_of
from triptych.writemodel.galleries import GALLERIES

KEEPS_TOMBSTONES = {"delete.retention.ms": str(30 * 86_400_000)}
"""The joined topic keeps tombstones until its records from before the growth are deleted: otherwise something that was
deleted on its new partition would come back from its former one, for consumers that start at the beginning."""
FIRST_BUILD = 3
"""The schema version of the first build that follows a growth. Older ones would use the number of their settings."""
KNOWN_SECONDS = 1.0 + IDLE_SECONDS
"""After this time, all services know that topics may have more partitions than they use."""
PAUSE_SECONDS = 0.5
EPOCHS_AHEAD = 1_000_000
"""How far the claims of new partitions begin above those of all former ones: what is stored by epoch stays in order."""


class Growing:
    """One run of `triptych partitions grow`."""

    def __init__(self, settings: CliSettings, database: Database, partitions: int, reporter: ProgressReporter) -> None:
        self._settings = settings
        self._database = database
        self._to = partitions
        self._reporter = reporter
        self._topics = Topics(settings.topic_prefix)
        self._stored = StoredLayout(database, settings.topic_partitions)

    async def run(self, producers_seconds: float) -> bool:
        """Add the partitions, and make them count; False if they count already.

        Args:
            producers_seconds: how long producers get to notice the new partitions (their `metadata.max.age.ms`).

        Raises:
            StartRefused: the number cannot be reached, or other work forbids it now. Nothing was changed.
            TransientFailure: a server stopped answering. Another run resumes.
        """
        layout = await self._stored.read()
        if layout.partitions == self._to:
            return False
        await self._check(layout.partitions)
        await self._stored.begin(self._to)
        await asyncio.sleep(KNOWN_SECONDS)
        await self._add(layout.partitions)
        await self._wait_for_producers(producers_seconds)
        await self._switch(layout.partitions)
        return True

    async def _check(self, former: int) -> None:
        if self._to < former or self._to % former:
            raise StartRefused(
                f"The topics have {former} partitions. They can only get a multiple of that, such as {2 * former}. "
                "Then a gallery stays on its partition, or moves to a new one."
            )
        states = await self._stored.states()
        if states is not None and states.phase is not Phase.TRIMMED:
            raise StartRefused(f"The last growth is not finished. Run first: {as_typed('partitions trim')}")
        await refuse_unfinished_repair(self._database)
        await adopt(self._database)
        await exclude_older(self._database, FIRST_BUILD)
        if await Versions(self._database).building() is not None:
            raise StartRefused(f"A rebuild was begun and is not finished. Run first: {as_typed('rebuild')}")

    async def _add(self, former: int) -> None:
        """Give all topics their partitions, those of commands last: only there do others choose the partition."""
        counts = await self._counts()
        wrong = {name: count for name, count in counts.items() if not former <= count <= self._to}
        if wrong:
            found = ", ".join(f"{name} has {count}" for name, count in sorted(wrong.items()))
            raise StartRefused(f"The topics must have from {former} to {self._to} partitions: {found}")
        missing = [name for name, count in counts.items() if count != self._to]
        missing.sort(key=lambda name: name == self._topics.commands)
        async with changing_topics(self._settings) as changes:
            await self._stored.keep(self._to, await changes.configure(self._topics.galleries, KEEPS_TOMBSTONES))
            for done, name in enumerate(missing, 1):
                await changes.add_partitions({name: self._to})
                self._reporter.report("topics", done, len(missing))

    async def _counts(self) -> dict[str, int]:
        counts = {}
        for name in self._topics.counts(1):
            async with TopicOffsets(self._settings, name) as offsets:
                counts[name] = len(await offsets.all_ends())
        return counts

    async def _wait_for_producers(self, seconds: float) -> None:
        began = time.monotonic()
        while (waited := time.monotonic() - began) < seconds:
            self._reporter.report("seconds for producers", int(waited), int(seconds))
            await asyncio.sleep(min(PAUSE_SECONDS, seconds))

    async def _switch(self, former: int) -> None:
        """Let the new number count, while nobody writes."""
        token = await self._stored.stop()
        try:
            claimed_by = await self._claim_all(former)
            await self._publish_outbox(former)
            ends = {
                COMMANDS: await self._ends(self._topics.commands, former),
                EVENTS: await self._ends(self._topics.events, former),
            }
            counts = LiveCounts((), self._to)
            await JobStore(self._database).move(counts.place)
            await RepublicationRequests(self._database).move(counts.place)
            await self._stored.grow(token, Growth(former, self._to, ends), claimed_by)
        except BaseException:
            await asyncio.shield(self._stored.resume(token))
            raise

    async def _claim_all(self, former: int) -> str:
        """Take every partition from its owner: what an owner has begun cannot be committed any more.

        Returns:
            The token of the claims on the projector's partitions.
        """
        await self._claim(former, self._settings.command_group, GALLERIES)
        version = await Versions(self._database).active()
        return await self._claim(former, self._settings.projector_group(version), names_of(version).galleries)

    async def _claim(self, former: int, scope: str, collection: str) -> str:
        first, ownership = (Ownership(self._database, scope, collection) for _ in range(2))
        await first.claim(range(former))
        ahead = max(first.epoch(partition) for partition in range(former)) + EPOCHS_AHEAD
        await ownership.claim(range(self._to), dict.fromkeys(range(former, self._to), ahead))
        return ownership.token

    async def _publish_outbox(self, former: int) -> None:
        counts = LiveCounts(self._topics.counts(former), former)
        publisher = Publisher(lambda: make_producer(self._settings), partitions=counts)
        outbox = Outbox(self._database, publisher, self._topics.events)
        try:
            await publisher.start()
            await outbox.flush(range(former))
            await outbox.flush_acknowledgements()
        finally:
            await publisher.stop()

    async def _ends(self, topic: str, former: int) -> TopicEnds:
        async with TopicOffsets(self._settings, topic) as offsets:
            ends: Mapping[int, int] = await offsets.ends(range(former))
            return TopicEnds(str(await offsets.topic_id()), ends)
