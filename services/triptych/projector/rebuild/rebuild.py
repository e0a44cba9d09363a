"""Builds a new version of the views while the active one serves reads, and then makes it active.

The new version reads the events topic in a consumer group of its own, so that an interrupted rebuild can be resumed.
Galleries that lack events are repaired by snapshots of the command service: events may have expired, or the topic may
have been deleted and created again. The write model alone defines the right state. Readers see the old version, and the
projector keeps writing it, until the new version is proved equal to the write model. Then writers pause for a moment:

1. The projector is asked to stop. Its partitions are claimed, so that it can write no more.
2. The new version reads the remaining events, and its consumer ends.
3. The new group takes over the offsets of the old group, so that events that the old version stored without publishing
   come again.
4. The new version becomes active, the old version is dropped, and the projector continues in the new group.

Then the joined topic is compared with the write model, and the projector republishes the galleries that differ.
"""

import asyncio
from collections.abc import Sequence

from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.layout_watch import watching_layout
from triptych.kit.startup.layouts import StoredLayout
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.pipeline import Projection, running_projection
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.join_restoration import ProgressReporter, restore_join
from triptych.projector.rebuild.verification import Difference, compare, is_same
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import indexes
from triptych.readmodel.versions import Versions, names_of

POLL_SECONDS = 0.2


class ViewsUnequal(Exception):
    """The new version differs from the write model. The old version stays active."""

    def __init__(self, differences: list[Difference]) -> None:
        lines = "\n".join(f"  {difference}" for difference in differences[:10])
        super().__init__(f"{len(differences)} galleries of the new version differ from the write model:\n{lines}")


class Rebuild:
    """One rebuild: a new one, or an interrupted one that is resumed."""

    def __init__(self, settings: ProjectorSettings, database: Database, reporter: ProgressReporter) -> None:
        self._settings = settings
        self._database = database
        self._versions = Versions(database)
        self._reporter = reporter

    async def run(self) -> int:
        """Build the new version, compare it, switch to it, and restore the joined topic.

        Returns:
            The number of galleries in which the old version was wrong, or behind at its end.

        Raises:
            JoinUnequal: the new version is active; the joined topic still differs from the write model.
            ViewsUnequal, StartRefused, TransientFailure: the old version stays active. Another run resumes the rebuild.
        """
        old = await self._versions.active()
        new = await self._versions.begin_building()
        switching = False
        try:
            partitions = self._settings.topic_partitions
            async with (
                watching_layout(StoredLayout(self._database, partitions), LiveCounts((), partitions)) as watch,
                running_projection(self._settings, self._database, new, watch, is_active=False) as projection,
            ):
                await self._catch_up(projection)
                # The other indexes are created after the bulk of the writes, since each index makes each write slower.
                indexing = asyncio.create_task(ensure_indexes(self._database, indexes(new)))
                try:
                    suspects = await self._compare(old, new)
                    await indexing
                finally:
                    indexing.cancel()
                self._reporter.report("switching", 0, 1)
                switching = True
                await self._versions.begin_switch(new)
                await self._ownership(old).claim(await self._partitions(projection))
                await self._drain(projection)
            wrong = await self._wrong(old, new, suspects)
            await self._take_over_offsets(old, new)
            await self._versions.end_switch(new)
        except BaseException:
            if switching:
                await asyncio.shield(self._versions.cancel_switch())
            raise
        self._reporter.report("switching", 1, 1)
        await restore_join(self._settings, self._database, self._reporter)
        return len(wrong)

    async def _catch_up(self, projection: Projection) -> None:
        """Read the topic to its end, and wait until all galleries that lack events are repaired."""
        partitions = await self._partitions(projection)
        beginnings = await projection.group_offsets.beginnings(partitions)
        missing_at_most = 0
        is_compared = False
        while True:
            ends = await projection.group_offsets.ends(partitions)
            lag = projection.lag_to(ends)
            total = sum(ends.values()) - sum(beginnings.values())
            self._reporter.report("events", max(0, total - lag), total)
            if lag == 0 and projection.handler.offsets.owned >= partitions:
                if not is_compared:
                    await projection.handler.mark_behind()
                    is_compared = True
                missing = await projection.repository.count_incomplete()
                if not missing:
                    break
                missing_at_most = max(missing_at_most, missing)
                self._reporter.report("galleries published again", missing_at_most - missing, missing_at_most)
            await asyncio.sleep(POLL_SECONDS)
        if missing_at_most:
            self._reporter.report("galleries published again", missing_at_most, missing_at_most)

    async def _drain(self, projection: Projection) -> None:
        """Read all events that the old version may have read."""
        ends = await projection.group_offsets.ends(await self._partitions(projection))
        while projection.lag_to(ends):
            await asyncio.sleep(POLL_SECONDS / 10)

    def _ownership(self, version: int) -> Ownership:
        return Ownership(self._database, self._settings.projector_group(version), names_of(version).galleries)

    async def _partitions(self, projection: Projection) -> frozenset[int]:
        return frozenset(range(await projection.publisher.partitions(projection.group_offsets.name)))

    async def _compare(self, old: int, new: int) -> list[str]:
        """Compare the new version with the write model.

        Returns:
            The ids of the galleries that differ between the old version and the new one.

        Raises:
            ViewsUnequal: the new version differs from the write model.
        """

        def report(done: int, total: int) -> None:
            self._reporter.report("galleries compared", done, total)

        compared = await compare(self._database, new, report, former=old)
        if compared.differences:
            raise ViewsUnequal(compared.differences)
        suspects = compared.outdated
        async for ids in GalleryStore(self._database, old).ids():
            suspects.extend(set(ids) - await GalleryStore(self._database, new).known(ids))
        return suspects

    async def _wrong(self, old: int, new: int, suspects: Sequence[str]) -> list[str]:
        """The suspects that differ between both versions, now that neither changes any more."""
        in_old = await GalleryStore(self._database, old).digests(suspects)
        in_new = await GalleryStore(self._database, new).digests(suspects)
        return [id_ for id_ in suspects if not is_same(in_old.get(id_), in_new.get(id_))]

    async def _take_over_offsets(self, old: int, new: int) -> None:
        name = f"{self._settings.topic_prefix}events"
        of_old = GroupOffsets(self._settings, name, self._settings.projector_group(old))
        of_new = GroupOffsets(self._settings, name, self._settings.projector_group(new))
        try:
            former, reached = await of_old.committed(), await of_new.committed()
            await of_new.commit({number: min(offset, former.get(number, 0)) for number, offset in reached.items()})
        finally:
            await of_old.stop()
            await of_new.stop()
