"""Repairs what `restore-check` finds, in phases that are stored, so that an interrupted repair resumes.

1. `scan`: read the events topic; store the galleries to correct and the offsets to set.
2. `commands`: carry lost commands out again, without publishing, and end all long-running work.
3. `sequences`: correct the galleries.
4. `offsets`: set the offsets of the consumer groups, and request the galleries that are wrong in the joined topic.

Until the last phase has ended, the command service waits at its start.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from triptych.cli.restore.examination import Examination, examined, recognised_since, unknown_galleries
from triptych.cli.restore.findings import UNKNOWN_STEP
from triptych.cli.restore.scan import ReportProgress
from triptych.cli.settings import CliSettings
from triptych.command.domain.corrections import Published
from triptych.command.restore.replay import carry_out_again
from triptych.command.restore.sequences import Sequences
from triptych.command.store.repairs import INDEXES, Ledger, Phase, Repair
from triptych.contract.topics import Topics
from triptych.kit.chunks import until_full
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.reading.offsets import GroupOffsets, TopicOffsets
from triptych.kit.mongo.driver import Database
from triptych.kit.startup.provision import ensure_indexes
from triptych.projector.rebuild.join_restoration import request_differing
from triptych.readmodel.versions import Versions

GALLERIES_AT_ONCE = 1_000
_PHASES = tuple(Phase)


@dataclass(slots=True)
class Repaired:
    """What a repair has done: in this run, if an earlier one was interrupted."""

    corrected: int = 0
    groups: int = 0
    requested: int = 0


class RepairRun:
    """One run of the command."""

    def __init__(self, settings: CliSettings, database: Database, report: ReportProgress) -> None:
        self._settings = settings
        self._database = database
        self._report = report
        self._topics = Topics(settings.topic_prefix)
        self._ledger = Ledger(database)
        self._done = Repaired()

    async def carry_out(self, *, discards_commands: bool, raises_all: bool) -> Repaired:
        """Repair, or resume a repair that was begun with the same choices.

        Args:
            discards_commands: leave lost commands lost.
            raises_all: raise every gallery, since nothing says which sequences consumers have seen.

        Raises:
            StartRefused: a service runs, a server does not answer, or a repair with other choices was begun.
            TransientFailure: a server stopped answering. Another run resumes.
        """
        await self._refuse_running_services()
        await ensure_indexes(self._database, INDEXES)
        repair = await self._ledger.begin(str(uuid.uuid4()), discards_commands=discards_commands, raises_all=raises_all)
        begun = _PHASES.index(repair.phase)
        if begun <= _PHASES.index(Phase.SCAN):
            await self._scan(raises_all=raises_all)
            repair = await self._advanced(Phase.COMMANDS)
        if begun <= _PHASES.index(Phase.COMMANDS):
            await self._carry_out_commands(repair)
            repair = await self._advanced(Phase.SEQUENCES)
        if begun <= _PHASES.index(Phase.SEQUENCES):
            self._done.corrected = await self._ledger.count()
            sequences = Sequences(self._settings, self._database, self._ledger, repair.repair_id)
            await sequences.correct_all(self._report)
            repair = await self._advanced(Phase.OFFSETS)
        await self._set_offsets(repair.offsets)
        self._done.requested = await request_differing(self._settings, self._database, self._report)
        await self._ledger.end()
        return self._done

    async def _advanced(self, phase: Phase) -> Repair:
        await self._ledger.advance(phase)
        repair = await self._ledger.current()
        assert repair is not None  # noqa: S101 - only this run ends it
        return repair

    async def _refuse_running_services(self) -> None:
        version = await Versions(self._database).active()
        groups = {
            self._settings.command_group: self._topics.commands,
            self._settings.projector_group(version): self._topics.events,
            self._settings.webhooks_group: self._topics.events,
        }
        for group, topic in groups.items():
            async with GroupOffsets(self._settings, topic, group) as offsets:
                if await offsets.has_members():
                    raise StartRefused(
                        f"The group {group} has members. Stop all services first. "
                        "A process that was killed counts for some seconds more."
                    )

    async def _scan(self, *, raises_all: bool) -> None:
        await self._ledger.clear()
        async with examined(self._settings, self._database, self._report) as seen:
            is_older = raises_all
            for galleries in seen.copy.galleries_ahead():
                is_older = True
                await self._ledger.add(galleries)
            for galleries in seen.copy.deletions_lost():
                await self._ledger.add(galleries)
            for items in seen.copy.items_gone():
                await self._ledger.add((), items)
            if is_older:
                await self._add_unknown(frozenset() if raises_all else seen.reaching_back)
                await self._ledger.keep_replay(seen.replay)
            await self._ledger.keep_offsets(_offsets(seen))

    async def _add_unknown(self, reaching_back: frozenset[int]) -> None:
        found = unknown_galleries(self._settings, self._database, reaching_back)
        async for chunk in until_full(found, count=GALLERIES_AT_ONCE):
            await self._ledger.add([Published(id_, site, at + UNKNOWN_STEP, False) for id_, site, at in chunk])

    async def _carry_out_commands(self, repair: Repair) -> None:
        if repair.replay is None:
            return
        left = {}
        if repair.replay and not repair.discards_commands:
            # Outcomes expire while a repair is interrupted.
            async with TopicOffsets(self._settings, self._topics.commands) as offsets:
                recognised = await offsets.since(recognised_since(self._settings), repair.replay)
            left = {
                number: (max(repair.replayed.get(number, start), recognised[number]), end)
                for number, (start, end) in repair.replay.items()
            }
        await carry_out_again(self._settings, self._database, self._ledger, left, self._report)

    async def _set_offsets(self, offsets: Mapping[str, Mapping[int, int]]) -> None:
        for group, numbers in offsets.items():
            topic = self._topics.commands if group == self._settings.command_group else self._topics.events
            if numbers:
                async with GroupOffsets(self._settings, topic, group) as stored:
                    await stored.commit(numbers)
                self._done.groups += 1


def _offsets(seen: Examination) -> dict[str, dict[int, int]]:
    return {group.name: group.moves for group in seen.groups()}
