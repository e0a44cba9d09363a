"""Runs a plan with the product's own projector, in memory or on real servers, and checks the views and the join."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson
from aiokafka import ConsumerRecord

from tests.support.literal_reader import LiteralReader
from tests.support.projection.plans import Fault, Plan
from triptych.client import Galleries
from triptych.contract.codec.envelope import Message
from triptych.contract.joined import HEAD_ITEMS_MAX, gallery_key, item_key
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import ItemView, View
from triptych.projector.view.repository import ViewRepository

PARTITION = 0
TRANSACTION_BYTES = 3_000
"""Small enough that batches are stored in several transactions."""
Stored = tuple[dict[str, View], dict[str, ItemView]]
Log = Sequence[tuple[bytes, bytes | None]]


class Crash(TransientFailure):
    """The process ends here."""


class Saboteur:
    """Makes one process end where its plan says. `held` are the records it was about to publish when it was paused."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.spared = 0
        self.held: list[list[OutgoingRecord]] = []
        self.waking: list[list[OutgoingRecord]] = []
        """The records that other processes publish in the middle of this process's next publication."""
        self.has_saved = False

    def before_saving(self) -> None:
        """Called with each transaction."""
        if self.fault is Fault.BEFORE_SAVING and not self._spares():
            raise Crash

    def of_joined(self, records: Sequence[OutgoingRecord]) -> tuple[Sequence[OutgoingRecord], bool]:
        """The records that are really published instead of these, and whether the process ends after that."""
        own = self._own_records(records)
        ends = len(own) < len(records)
        if self.waking and len(records) > 1:
            late = [record for held in self.waking for record in held]
            self.waking.clear()
            own = [*own[: len(records) // 2], *late, *own[len(records) // 2 :]]
        return own, ends

    def _own_records(self, records: Sequence[OutgoingRecord]) -> Sequence[OutgoingRecord]:
        match self.fault:
            case Fault.AFTER_SAVING if self.has_saved and not self._spares():
                return []
            case Fault.WHILE_PUBLISHING if not self._spares():
                return records[: len(records) // 2]
            case Fault.PAUSED if not self._spares():
                self.held.append(list(records))
                return []
            case _:
                return records

    def _spares(self) -> bool:
        self.spared -= 1
        return self.spared >= 0


class World(Protocol):
    """The stores and topics that a plan runs on."""

    async def start(self, saboteur: Saboteur, committed: int, end: int) -> ProjectionHandler:
        """Start a process that has claimed the partition and continues at `committed`; the topic ends at `end`."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records to the joined topic, without regard to its owner."""

    async def stored(self) -> Stored:
        """All views."""

    async def log(self) -> Log:
        """The joined topic."""


async def carry_out(plan: Plan, world: World) -> None:
    """Run the plan to its end, let the paused processes publish, and check views and join."""
    records = [record_of(offset, message) for offset, message in enumerate(plan.messages)]
    committed = end = 0
    saboteur = Saboteur()
    handler = await world.start(saboteur, committed, 0)
    asleep: list[list[OutgoingRecord]] = []
    steps = iter(plan.steps)
    while committed < len(records):
        step = next(steps, None)
        size = step.size if step else len(records)
        saboteur.fault, saboteur.has_saved = step.fault if step else None, False
        saboteur.spared = step.spared if step else 0
        if step and step.wakes_within:
            saboteur.waking, asleep = asleep, []
        batch = records[committed : committed + size]
        end = max(end, committed + len(batch))
        try:
            await handler.handle(batch)
            committed += len(batch)
        except Crash:
            asleep += [*saboteur.held, *saboteur.waking]
            saboteur = Saboteur()
            committed = max(0, committed - (step.back if step else 0))
            handler = await world.start(saboteur, committed, end)
        asleep += saboteur.waking
        saboteur.fault, saboteur.waking = None, []
        if step and step.wakes:
            while asleep:
                await world.publish(asleep.pop())
            await handler.republish_overwritten({PARTITION: committed}.copy)
    for held in asleep:
        await world.publish(held)
    for gallery_id in plan.unrepaired:
        await handler.remove(gallery_id)
    await handler.republish_overwritten({PARTITION: committed}.copy)
    check_views(plan, await world.stored())
    check_join(plan, await world.log())
    assert await handler.republish_overwritten({PARTITION: committed}.copy) == 0


def record_of(offset: int, message: Message) -> ConsumerRecord[Any, Any]:
    """A message as it comes from the events topic."""
    return ConsumerRecord(
        "events", PARTITION, offset, 0, 0, message.key, message.value, None, 0, 0, tuple(message.headers)
    )


def check_views(plan: Plan, stored: Stored) -> None:
    """The views are the fold of the histories."""
    views, items = stored
    for history in plan.histories:
        view = views.get(history.gallery_id)
        if not history.exists:
            assert view is None or view.is_deleted
            continue
        assert view is not None
        assert view.head is not None
        assert view.is_shown
        assert {**view.head, "totalItems": view.total_items} == history.head()
        assert (view.sequence, view.missing, view.open_snapshot) == (len(history.wire), None, None)
    expected = {id_: item for history in plan.histories if history.exists for id_, item in history.items.items()}
    assert {item_id: item.item for item_id, item in items.items()} == expected


def check_join(plan: Plan, log: Log) -> None:
    """The topic compacts to the right records. A consumer shows the right state, compacted or not."""
    last = dict(log)
    expected: dict[bytes, object] = {}
    for history in (history for history in plan.histories if history.exists):
        items = history.shown_items()
        expected[gallery_key(history.gallery_id)] = (history.head(), items[:HEAD_ITEMS_MAX])
        expected |= {item_key(history.gallery_id, item["id"]): item for item in items}
    assert {key: _content(value) for key, value in last.items() if value is not None} == expected

    last_offsets = {key: offset for offset, (key, _) in enumerate(log)}
    compacted = [(key, value) for offset, (key, value) in enumerate(log) if offset == last_offsets[key]]
    for records in (log, compacted, [*log, *log[len(log) // 3 :]]):
        consumer, other = Galleries(), LiteralReader()
        for key, value in records:
            consumer.feed(key, value)
            other.feed(key, value)
            check_shown(plan, key, consumer)
            gallery_id = key.decode()[:36]
            assert other.get(gallery_id) == consumer.get(gallery_id)
        assert sorted(consumer) == sorted(history.gallery_id for history in plan.histories if history.exists)
        for history in plan.histories:
            shown = {**history.head(), "items": history.shown_items()} if history.exists else None
            assert consumer.get(history.gallery_id) == shown


def check_shown(plan: Plan, key: bytes, consumer: Galleries) -> None:
    """A consumer shows a gallery only as it was after one of its events."""
    for history in plan.histories:
        if key.decode().startswith(history.gallery_id) and (sequence := consumer.sequence(history.gallery_id)):
            assert consumer.get(history.gallery_id) == history.states[sequence]


def _content(value: bytes) -> object:
    record = orjson.loads(value)
    if "item" in record:
        return record["item"]
    assert record["gallery"].pop("items") == []
    return record["gallery"], record["items"]


class SabotagedRepository(ViewRepository):
    """The product's repository, which may crash before it saves."""

    saboteur: Saboteur

    async def save(self, loaded: Mapping[str, View], batch: Batch, partitions: Any) -> None:
        """See `ViewRepository`."""
        self.saboteur.before_saving()
        await super().save(loaded, batch, partitions)
        self.saboteur.has_saved = True
