"""Compares MongoDB with the topics: what `restore-check` reports, and what `restore-repair` works from."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from triptych.cli.restore.findings import Findings, Joined, LostCommands, Some, move_of
from triptych.cli.restore.positions import Bounds, command_offsets, event_offsets, reaches_back, replay_ranges
from triptych.cli.restore.published import PublishedCopy
from triptych.cli.restore.scan import ReportProgress, Scan
from triptych.cli.settings import CliSettings
from triptych.command.domain.unit_of_work import CommandKey
from triptych.command.flow.sorting import sort_records
from triptych.command.store.documents import PROCESSED
from triptych.command.store.outcomes import outcome_ids
from triptych.command.store.repairs import Ledger, last_write
from triptych.contract.base import format_instant
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID
from triptych.contract.topics import Topics
from triptych.kit.chunks import until_full
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.reading.offsets import GroupOffsets, TopicOffsets
from triptych.kit.kafka.reading.ranges import read_ranges
from triptych.kit.mongo.driver import Database
from triptych.kit.process.clock import utc_now
from triptych.kit.startup.layouts import StoredLayout
from triptych.projector.rebuild.join_copy import JoinedCopy
from triptych.readmodel.versions import Versions
from triptych.writemodel.galleries import Status
from triptych.writemodel.queries import WriteModel

EXAMPLES = 5
GALLERIES_AT_ONCE = 1_000
# Commands can be many megabytes each when they are uncompressed.
COMMANDS_AT_ONCE = 500
RECOGNISED_MARGIN = timedelta(hours=1)
"""By how much the clocks of producers may be ahead. An outcome is stored from the time of the command service on."""


@dataclass(slots=True)
class Group:
    """A consumer group on a topic; `moves` are the offsets that have to be set, by partition."""

    name: str
    topic: str
    committed: dict[int, int]
    bounds: dict[int, Bounds]
    moves: dict[int, int]


@dataclass(slots=True)
class Examination:
    """The events topic as it was read, and what follows for each consumer group.

    `reaching_back` has the partitions that have all events since the last use of the write model.
    """

    copy: PublishedCopy
    command_group: Group
    event_groups: tuple[Group, ...]
    replay: dict[int, tuple[int, int]]
    last_write: datetime | None
    reaching_back: frozenset[int]

    def groups(self) -> tuple[Group, ...]:
        """All groups."""
        return (self.command_group, *self.event_groups)


@asynccontextmanager
async def examined(settings: CliSettings, database: Database, report: ReportProgress) -> AsyncIterator[Examination]:
    """Read the events topic and all offsets. Nothing is written.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    topics = Topics(settings.topic_prefix)
    version = await Versions(database).active()
    now = utc_now()
    with PublishedCopy() as copy:
        names = (settings.projector_group(version), settings.webhooks_group)
        projector, relay = [await _group(settings, name, topics.events) for name in names]
        scan = Scan(database, version, copy, now - settings.webhooks_retention)
        ranges = {number: (bounds.beginning, bounds.end) for number, bounds in projector.bounds.items()}
        await scan.run(settings, topics.events, ranges, report)
        projector.moves = event_offsets(projector.committed, projector.bounds, scan.positions.unapplied)
        # The relay itself reports an offset beyond the end to the listeners, since it may have lost events.
        fitting = {number: at for number, at in relay.committed.items() if at <= relay.bounds[number].end}
        relay.moves = event_offsets(fitting, relay.bounds, scan.positions.unplanned)
        commands = await _group(settings, settings.command_group, topics.commands)
        async with TopicOffsets(settings, topics.commands) as offsets:
            recognised = await offsets.since(recognised_since(settings), commands.bounds)
        is_topic_older = copy.count("behind") > 0
        commands.moves = command_offsets(commands.committed, commands.bounds, recognised, is_topic_older=is_topic_older)
        used = await last_write(database, settings.command_group, settings.topic_partitions)
        kept_since = now - settings.events_retention
        first = scan.positions.first_at
        back = frozenset(
            number
            for number, bounds in projector.bounds.items()
            if reaches_back(bounds, first.get(number), used, kept_since)
        )
        replay = replay_ranges(commands.committed, commands.bounds, recognised)
        yield Examination(copy, commands, (projector, relay), replay, used, back)


def recognised_since(settings: CliSettings) -> datetime:
    """The time since which a command that was carried out has a stored outcome."""
    return utc_now() - settings.processed_retention + RECOGNISED_MARGIN


async def find(settings: CliSettings, database: Database, report: ReportProgress) -> Findings:
    """Everything that does not fit. Raises like `examined`."""
    repair = await Ledger(database).current()
    async with examined(settings, database, report) as seen:
        kinds = {
            kind: Some(seen.copy.count(kind), tuple(seen.copy.some(kind, EXAMPLES)))
            for kind in ("raised", "deleted", "withdrawn", "reserved", "behind")
        }
        moves = [
            move_of(group.name, group.topic, group.committed, {n: b.end for n, b in group.bounds.items()}, group.moves)
            for group in seen.groups()
        ]
        return Findings(
            unfinished=None if repair is None else repair.phase.value,
            last_write=None if seen.last_write is None else format_instant(seen.last_write),
            **kinds,
            items_gone=seen.copy.count_items_gone(),
            unknown=await count_unknown(settings, database, seen.reaching_back),
            commands=await _lost_commands(settings, database, seen.replay, report),
            joined=await _joined(settings, database, report),
            groups=tuple(move for move in moves if move is not None),
        )


async def unknown_galleries(
    settings: CliSettings, database: Database, reaching_back: frozenset[int]
) -> AsyncIterator[tuple[str, str, int]]:
    """The galleries, each with its site and sequence, whose partition's events do not reach back to the write model."""
    async for head in WriteModel(database).heads():
        is_known = partition_of(head["_id"].encode(), settings.topic_partitions) in reaching_back
        if head["status"] != Status.DELETED.value and not is_known:
            yield head["_id"], head["siteId"], head["sequence"]


async def count_unknown(settings: CliSettings, database: Database, reaching_back: frozenset[int]) -> int:
    """The number of galleries that `unknown_galleries` yields."""
    count = 0
    async for _ in unknown_galleries(settings, database, reaching_back):
        count += 1
    return count


async def _group(settings: CliSettings, name: str, topic: str) -> Group:
    async with GroupOffsets(settings, topic, name) as offsets:
        ends = await offsets.all_ends()
        beginnings = await offsets.beginnings(ends)
        committed = await offsets.committed()
    return Group(name, topic, committed, {number: Bounds(beginnings[number], ends[number]) for number in ends}, {})


async def _lost_commands(
    settings: CliSettings, database: Database, ranges: Mapping[int, tuple[int, int]], report: ReportProgress
) -> LostCommands:
    """The commands in these ranges without a stored outcome."""
    total = sum(end - start for start, end in ranges.values())
    retained = lost = 0
    examples: list[str] = []
    async with aclosing(
        read_ranges(settings, Topics(settings.topic_prefix).commands, ranges, COMMANDS_AT_ONCE)
    ) as chunks:
        async for chunk in chunks:
            commands = sort_records(chunk.records, settings.topic_partitions, DEFAULT_SITE_ID).commands
            ids = outcome_ids(commands, has_former=False)
            found = {one["_id"] async for one in database[PROCESSED].find({"_id": {"$in": ids}}, {"_id": 1})}
            unknown = [one.envelope for one in commands if str(CommandKey.of(one.envelope)) not in found]
            retained += len(commands)
            lost += len(unknown)
            examples += [f"{one.name} {one.command_id}" for one in unknown[: EXAMPLES - len(examples)]]
            left = sum(ranges[number][1] - reached for number, reached in chunk.reached.items())
            report("commands read", max(0, total - left), total)
    return LostCommands(retained, lost, tuple(examples))


async def _joined(settings: CliSettings, database: Database, report: ReportProgress) -> Joined:
    missing: list[str] = []
    behind: list[str] = []
    extra: list[str] = []
    counts = [0, 0, 0]
    write_model = WriteModel(database)
    layout = await StoredLayout(database, settings.topic_partitions).read()
    async with JoinedCopy(settings, Topics(settings.topic_prefix).galleries, layout) as copy:
        await copy.read(lambda done, total: report("joined records read", done, total))
        async for heads in until_full(write_model.heads(), count=GALLERIES_AT_ONCE):
            live = {head["_id"]: head["sequence"] for head in heads if head["status"] == Status.LIVE.value}
            there = copy.digests(live)
            found = [one for one in live if one not in there]
            older = [one for one, sequence in live.items() if one in there and there[one].sequence < sequence]
            for place, (ids, kept) in enumerate(((found, missing), (older, behind))):
                counts[place] += len(ids)
                kept += ids[: EXAMPLES - len(kept)]
        for ids in copy.ids():
            live_ids = {gallery.gallery_id async for gallery in write_model.live(None, ids)}
            gone = [one for one in ids if one not in live_ids]
            counts[2] += len(gone)
            extra += gone[: EXAMPLES - len(extra)]
    return Joined(*(Some(count, tuple(ids)) for count, ids in zip(counts, (missing, behind, extra), strict=True)))
