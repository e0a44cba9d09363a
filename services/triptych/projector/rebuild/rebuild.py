"""Builds a new version of the views beside the active one and puts it in its place.

The new version reads the events topic in a consumer group of its own, so it can be stopped and gone on with at any
time. What the topic does not tell is asked for at the command service: events may have expired, or the topic may have
been lost and made anew, so the write model alone says what there has to be. Readers see the old version, and the
projector goes on with it, until the new one was proved equal to the write model. Then writers pause for a moment:

1. The projector is told to stop, and its partitions are claimed, so that it has to.
2. The new version reads what is left, and its consumer ends.
3. The new group takes over the offsets of the old one: what the old one had stored without publishing comes again.
4. The new version becomes the active one, the old one is dropped, and the projector goes on with the new group.

Then the joined topic is compared with the write model, and the projector is asked to publish what differs there.
"""

import asyncio
from collections.abc import Sequence

from triptych.kit.kafka.reading.group_offsets import GroupOffsets
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.pipeline import Projection, group_of, running_projection
from triptych.projector.rebuild.digests import Source
from triptych.projector.rebuild.join_restoration import Listener, restore_join
from triptych.projector.rebuild.verification import Difference, compare, is_same
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import indexes
from triptych.readmodel.versions import Versions, names_of

LOOK_SECONDS = 0.2


class ViewsUnequal(Exception):
    """The new version is not what the write model is; the old one stays."""

    def __init__(self, differences: list[Difference]) -> None:
        lines = "\n".join(f"  {difference}" for difference in differences[:10])
        super().__init__(f"{len(differences)} galleries of the new version differ from the write model:\n{lines}")


class Rebuild:
    """One rebuild, from the beginning or from where an earlier one was interrupted."""

    def __init__(self, settings: ProjectorSettings, database: Database, listener: Listener) -> None:
        self._settings = settings
        self._database = database
        self._versions = Versions(database)
        self._listener = listener

    async def run(self) -> int:
        """Build, prove, switch, and have the joined topic put right.

        Returns:
            The number of galleries in which the old version was wrong, or behind at its end.

        Raises:
            JoinUnequal: the views are new and right; the joined topic is not, or not yet.
            Unequal, StartRefused, TransientFailure: the old version stays; run it again to go on.
        """
        old = await self._versions.active()
        new = await self._versions.begin_building()
        switching = False
        try:
            async with running_projection(self._settings, self._database, new, is_active=False) as projection:
                await self._catch_up(projection)
                # Later than the first ones, since every index costs with every write.
                indexing = asyncio.create_task(ensure_indexes(self._database, indexes(new)))
                try:
                    suspects = await self._prove(old, new)
                    await indexing
                finally:
                    indexing.cancel()
                self._listener.tell("switching", 0, 1)
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
        self._listener.tell("switching", 1, 1)
        await restore_join(self._settings, self._database, self._listener)
        return len(wrong)

    async def _catch_up(self, projection: Projection) -> None:
        """Read the topic to its end, and wait for what it did not hold."""
        partitions = await self._partitions(projection)
        beginnings = await projection.topic.beginnings(partitions)
        missing_at_most = 0
        is_compared = False
        while True:
            ends = await projection.topic.ends(partitions)
            lag = projection.behind(ends)
            total = sum(ends.values()) - sum(beginnings.values())
            self._listener.tell("events", max(0, total - lag), total)
            if lag == 0 and projection.handler.progress.owned >= partitions:
                if not is_compared:
                    await projection.handler.compare()
                    is_compared = True
                missing = await projection.repository.count_incomplete()
                if not missing:
                    break
                missing_at_most = max(missing_at_most, missing)
                self._listener.tell("galleries published again", missing_at_most - missing, missing_at_most)
            await asyncio.sleep(LOOK_SECONDS)
        if missing_at_most:
            self._listener.tell("galleries published again", missing_at_most, missing_at_most)

    async def _drain(self, projection: Projection) -> None:
        """Read what the old version has read."""
        ends = await projection.topic.ends(await self._partitions(projection))
        while projection.behind(ends):
            await asyncio.sleep(LOOK_SECONDS / 10)

    def _ownership(self, version: int) -> Ownership:
        return Ownership(self._database, group_of(self._settings, version), names_of(version).galleries)

    async def _partitions(self, projection: Projection) -> frozenset[int]:
        return frozenset(range(await projection.publisher.partitions(projection.topic.name)))

    async def _prove(self, old: int, new: int) -> list[str]:
        """Compare the new version with the write model; the galleries that are not the same in the old version.

        Raises:
            Unequal: the new version is not what it should be.
        """

        def tell(done: int, total: int) -> None:
            self._listener.tell("galleries compared", done, total)

        compared = await compare(self._database, new, tell, former=old)
        if compared.differences:
            raise ViewsUnequal(compared.differences)
        suspects = compared.outdated
        async for ids in Source(self._database, old).ids():
            suspects.extend(set(ids) - await Source(self._database, new).known(ids))
        return suspects

    async def _wrong(self, old: int, new: int, suspects: Sequence[str]) -> list[str]:
        """Those of the suspects that are not the same in both versions, now that neither changes any more."""
        in_old = await Source(self._database, old).digests(suspects)
        in_new = await Source(self._database, new).digests(suspects)
        return [id_ for id_ in suspects if not is_same(in_old.get(id_), in_new.get(id_))]

    async def _take_over_offsets(self, old: int, new: int) -> None:
        name = f"{self._settings.topic_prefix}events"
        of_old = GroupOffsets(self._settings, name, group_of(self._settings, old))
        of_new = GroupOffsets(self._settings, name, group_of(self._settings, new))
        try:
            former, reached = await of_old.committed(), await of_new.committed()
            await of_new.commit({place: min(offset, former.get(place, 0)) for place, offset in reached.items()})
        finally:
            await of_old.stop()
            await of_new.stop()
