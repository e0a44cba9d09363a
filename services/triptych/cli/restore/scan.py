"""Reads the whole events topic once, and compares it with the write model, the views and the planned deliveries."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from triptych.cli.restore.published import PublishedCopy, Seen
from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import Event, EventType, decode_event
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX, decode_snapshot
from triptych.kit.kafka.reading.ranges import read_ranges
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.mongo.driver import Database, Document
from triptych.kit.process.settings import KitSettings
from triptych.readmodel.versions import names_of
from triptych.webhooks.store.delivery_documents import EVENTS as PLANNED_EVENTS
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus, Published, listener_of
from triptych.webhooks.store.listeners import LISTENERS
from triptych.writemodel.galleries import GALLERIES, Status

ReportProgress = Callable[[str, int, int], None]

SEQUENCE_MAX = 2**53
"""A higher sequence is not ours: JSON numbers are exact up to here."""
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class Found(NamedTuple):
    """A record of the events topic that can be read; `event` is None for a record of a snapshot."""

    record: IncomingRecord
    site_id: str
    gallery_id: str
    sequence: int
    event: Event | None


@dataclass(slots=True)
class Positions:
    """Offsets of the events topic, by partition."""

    unapplied: dict[int, int] = field(default_factory=dict)
    """The first event that is not in the views."""
    unplanned: dict[int, int] = field(default_factory=dict)
    """The first event that a listener wants and whose delivery is not planned, after the last one that is planned."""
    first_at: dict[int, datetime] = field(default_factory=dict)
    """The time of the first record."""


class Scan:
    """One reading of the topic."""

    def __init__(self, database: Database, version: int, copy: PublishedCopy, planned_since: datetime) -> None:
        """`version` is that of the views. Events before `planned_since` do not count as unplanned."""
        self._heads = database[GALLERIES]
        self._views = database[names_of(version).galleries]
        self._planned = database[PLANNED_EVENTS]
        self._stored_listeners = database[LISTENERS]
        self._copy = copy
        self._planned_since = planned_since
        self._listeners: Mapping[str, list[Listener]] = {}
        self.positions = Positions()

    async def run(
        self, settings: KitSettings, topic: str, ranges: Mapping[int, tuple[int, int]], report: ReportProgress
    ) -> None:
        """Read these ranges of offsets, by partition, and fill the copy and `positions`.

        Raises:
            StartRefused, TransientFailure: Kafka does not answer.
        """
        self._listeners = await self._load_listeners()
        total = sum(max(0, end - start) for start, end in ranges.values())
        async with aclosing(read_ranges(settings, topic, ranges)) as chunks:
            async for chunk in chunks:
                await self._take(chunk.records)
                left = sum(ranges[number][1] - reached for number, reached in chunk.reached.items())
                report("events read", max(0, total - left), total)

    async def _load_listeners(self) -> dict[str, list[Listener]]:
        by_site: dict[str, list[Listener]] = {}
        async for document in self._stored_listeners.find({}):
            listener = listener_of(document)
            if listener.status is not ListenerStatus.DELETED:
                by_site.setdefault(listener.site_id, []).append(listener)
        return by_site

    async def _take(self, records: Sequence[IncomingRecord]) -> None:
        for record in records:
            if record.timestamp >= 0:
                self.positions.first_at.setdefault(
                    record.partition, datetime.fromtimestamp(record.timestamp / 1000, UTC)
                )
        found = [one for one in map(read, records) if one is not None]
        if not found:
            return
        by_id = {"_id": {"$in": list({one.gallery_id for one in found})}}
        fields = {"siteId": 1, "sequence": 1, "status": 1}
        heads = {head["_id"]: head async for head in self._heads.find(by_id, fields)}
        ours = [one for one in found if one.gallery_id not in heads or heads[one.gallery_id]["siteId"] == one.site_id]
        self._copy.add(*summary(ours, heads))
        views = {view["_id"]: view async for view in self._views.find(by_id, {"sequence": 1, "deleted": 1})}
        note_unapplied(self.positions.unapplied, ours, views)
        await self._note_unplanned(ours)

    async def _note_unplanned(self, found: Iterable[Found]) -> None:
        wanted = [one for one in found if self._is_wanted(one)]
        if not wanted:
            return
        ids = [one.event.id for one in wanted if one.event is not None]
        planned = {document["_id"] async for document in self._planned.find({"_id": {"$in": ids}}, {"_id": 1})}
        unplanned = self.positions.unplanned
        for one in wanted:
            if one.event is not None and one.event.id in planned:
                unplanned.pop(one.record.partition, None)
            else:
                unplanned.setdefault(one.record.partition, one.record.offset)

    def _is_wanted(self, found: Found) -> bool:
        event, record = found.event, found.record
        listeners = self._listeners.get(found.site_id)
        if event is None or not listeners:
            return False
        at = datetime.fromtimestamp(max(0, record.timestamp) / 1000, UTC)
        published = Published(record.partition, record.offset, at)
        return at >= self._planned_since and any(
            listener.wants(found.site_id, event.event_type.value, event.gallery_id)
            and listener.is_older_than(published)
            # Before its last change, a listener may have wanted other events.
            and at >= listener.updated_at
            for listener in listeners
        )


def read(record: IncomingRecord) -> Found | None:
    """The content of a record; None if it is not a record of ours."""
    try:
        site_id = event_headers(record.headers).site_id
        if any(name == "ce_type" and value and value.startswith(_SNAPSHOT_TYPE) for name, value in record.headers):
            snapshot = decode_snapshot(record.value)
            found = Found(record, site_id, snapshot.gallery_id, snapshot.sequence, None)
        else:
            event = decode_event(record.value)
            found = Found(record, site_id, event.gallery_id, event.sequence, event)
    except Undecodable:
        return None
    return found if found.sequence <= SEQUENCE_MAX else None


def summary(found: Iterable[Found], heads: Mapping[str, Document]) -> tuple[list[Seen], list[tuple[str, str]]]:
    """What records say about each gallery, and the items whose deletion is beyond the write model.

    Args:
        found: the records.
        heads: `sequence` and `status` of the galleries in the write model, by id.
    """
    seen: dict[str, Seen] = {}
    items: list[tuple[str, str]] = []
    for one in found:
        head = heads.get(one.gallery_id)
        stored = head["sequence"] if head else 0
        known = seen.get(one.gallery_id)
        is_deletion = one.event is not None and one.event.event_type is EventType.GALLERY_DELETED
        seen[one.gallery_id] = Seen(
            one.gallery_id,
            one.site_id,
            max(one.sequence, known.sequence if known else 0),
            is_deletion or (known is not None and known.is_deleted),
            stored,
            head is not None and head["status"] != Status.DELETED.value,
        )
        event = one.event
        if event is not None and event.event_type is EventType.ITEM_DELETED and event.item_id and one.sequence > stored:
            items.append((one.gallery_id, event.item_id))
    return list(seen.values()), items


def note_unapplied(unapplied: dict[int, int], found: Iterable[Found], views: Mapping[str, Document]) -> None:
    """Note the first event of each partition that the views lack; `views` has `sequence` and `deleted`, by id."""
    for one in found:
        view = views.get(one.gallery_id, {})
        if one.event is not None and not view.get("deleted") and one.sequence > view.get("sequence", 0):
            unapplied.setdefault(one.record.partition, one.record.offset)
