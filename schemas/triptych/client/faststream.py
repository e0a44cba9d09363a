"""Owns `GalleryEvents`: a router for FastStream whose handlers get the contract's events, each of them once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

try:
    from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
    from faststream import AckPolicy, BaseMiddleware
    from faststream.exceptions import AckMessage, RejectMessage
    from faststream.kafka import KafkaRouter
except ImportError as missing:
    raise ImportError("triptych.client.faststream needs FastStream: pip install 'triptych[faststream]'") from missing

from triptych.client.events.decoding import (
    SNAPSHOT_MODELS,
    GalleryCreated,
    GalleryDeleted,
    GalleryItemCreated,
    GalleryItemDeleted,
    GalleryItemUpdated,
    GalleryUpdated,
    SnapshotRecord,
    decode,
)
from triptych.client.events.sequences import MemorySequences, Sequences, Verdict, judge
from triptych.contract.codec.cloudevents import Reason, Undecodable
from triptych.contract.domain_event import EVENTS, EventHead
from triptych.contract.topics import Topics

if TYPE_CHECKING:
    from faststream.kafka.call_wrapper import KafkaHandlerCallWrapper
    from faststream.message import StreamMessage

__all__ = [
    "GalleryCreated",
    "GalleryDeleted",
    "GalleryEvents",
    "GalleryItemCreated",
    "GalleryItemDeleted",
    "GalleryItemUpdated",
    "GalleryUpdated",
    "Gap",
    "UnreadableEvent",
]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

RETRY_PAUSE_SECONDS = 1.0

_ERRORS_SKIP = (AckPolicy.ACK, AckPolicy.ACK_FIRST, AckPolicy.REJECT_ON_ERROR)
"""The policies with which an event does not come again when its handler raises."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a gallery have not come: they are late, or lost.

    Attributes:
        gallery_id: the gallery.
        first, last: the first and the last missing number.
    """

    gallery_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """A record of the events topic that is not an event of the contract; `record` has its bytes and its place."""

    reason: Reason
    text: str
    record: "ConsumerRecord[Any, Any]"


class GalleryEvents(KafkaRouter):
    """Reads the events topic in a consumer group.

        events = GalleryEvents(group_id="shop")

        @events.on(GalleryItemCreated)
        async def on_item(event: GalleryItemCreated) -> None: ...

        broker = KafkaBroker("127.0.0.1:9092")
        broker.include_router(events)

    A handler is called at least once for each event, one event after the other on each partition. A repeat is dropped
    by its sequence. If a handler raises, its event comes again after a pause, and later events of the partition wait
    (`ack_policy` changes that). Snapshot records and events without a handler are skipped. A record that is no event
    is logged, or goes to the handler of `UnreadableEvent`; later ones do not wait for it.
    """

    def __init__(
        self,
        *,
        group_id: str,
        topic_prefix: str = "triptych.",
        sequences: Sequences | None = None,
        on_gap: Callable[[Gap], Awaitable[None] | None] | None = None,
        retry_pause: float = RETRY_PAUSE_SECONDS,
        ack_policy: AckPolicy = AckPolicy.NACK_ON_ERROR,
        auto_offset_reset: str = "earliest",
        **subscriber: Any,
    ) -> None:
        """Nothing is connected before the broker starts.

        Args:
            group_id: the consumer group.
            topic_prefix: that of the installation.
            sequences: where to note which events were handled; in memory if None, which forgets it with a restart.
            on_gap: called before the first event after a gap is handled. Without it, gaps are logged.
            retry_pause: seconds until an event whose handler has raised comes again.
            ack_policy: FastStream's; the default repeats an event until its handler succeeds.
            auto_offset_reset: where a new group begins.
            subscriber: further arguments of FastStream's subscriber.
        """
        super().__init__(middlewares=(self._once,))
        self.sequences: Sequences = MemorySequences() if sequences is None else sequences
        self._on_gap = on_gap or _log_gap
        self._retry_pause = retry_pause
        self._ack_policy = ack_policy
        self._models: set[type] = set()
        self._last: tuple[Any, Any] = (None, None)
        self._subscriber = self.subscriber(
            Topics(topic_prefix).events,
            group_id=group_id,
            auto_offset_reset=auto_offset_reset,  # type: ignore[arg-type]
            isolation_level="read_committed",
            ack_policy=ack_policy,
            parser=_parse,
            decoder=self._decode,
            # An event has no address for a reply, whatever its headers say.
            no_reply=True,
            listener=_Rebalances(self.sequences),
            **subscriber,
        )
        self._subscriber(filter=self._has_no_handler)(_skip)

    def on(self, model: type) -> "Callable[[Callable[P, R]], KafkaHandlerCallWrapper[P, R]]":
        """Make a function the handler of one kind of event, of snapshot record, or of `UnreadableEvent`.

        The function's first argument is the event. FastStream fills the others (`Depends`, `Context`, `KafkaMessage`).

        Raises ValueError if there is a handler of this kind, since FastStream calls only one, or no such kind.
        """
        if model not in (*EVENTS.values(), *SNAPSHOT_MODELS, UnreadableEvent):
            raise ValueError(f"{model.__name__} is not an event of the contract")
        if model in self._models:
            raise ValueError(f"{model.__name__} has a handler already")
        self._models.add(model)

        async def is_of_kind(message: "StreamMessage[Any]") -> bool:
            return type(await message.decode()) is model

        return self._subscriber(filter=is_of_kind)  # type: ignore[return-value]

    async def _has_no_handler(self, message: "StreamMessage[Any]") -> bool:
        return type(await message.decode()) not in self._models

    async def _decode(self, message: "StreamMessage[Any]") -> EventHead | SnapshotRecord | UnreadableEvent:
        # FastStream asks for each handler separately.
        record = message.raw_message
        if self._last[0] is not record:
            self._last = (record, _decoded(record))
        decoded: EventHead | SnapshotRecord | UnreadableEvent = self._last[1]
        return decoded

    def _once(self, message: Any, /, **context: Any) -> "_Once":
        return _Once(message, owner=self, **context)


class _Once(BaseMiddleware[Any, Any]):
    """Lets each event of a gallery pass once, and notes that it was handled."""

    def __init__(self, message: Any, /, *, owner: GalleryEvents, **context: Any) -> None:
        super().__init__(message, **context)
        self._owner = owner

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: "StreamMessage[Any]") -> Any:
        """Handle the message, unless it is a repeat."""
        owner, event = self._owner, await msg.decode()
        if not isinstance(event, EventHead):
            return await self._paused(call_next, msg)
        gallery_id, sequence = event.entity_id, int(event.entity_event_sequence)
        known = await owner.sequences.get(gallery_id)
        verdict, seen = judge(known, sequence)
        if verdict is Verdict.REPEAT:
            log.debug("event %d of gallery %s is a repeat", sequence, gallery_id)
            # Not a result of None: FastStream would publish it for the handler.
            raise AckMessage
        if verdict is Verdict.GAP and known is not None:
            told = owner._on_gap(Gap(gallery_id, known.last + 1, sequence - 1))
            if isawaitable(told):
                await told
        try:
            result = await self._paused(call_next, msg)
        except (AckMessage, RejectMessage):
            await owner.sequences.put(msg.raw_message.partition, gallery_id, seen)
            raise
        except Exception:
            if owner._ack_policy in _ERRORS_SKIP:
                await owner.sequences.put(msg.raw_message.partition, gallery_id, seen)
            raise
        await owner.sequences.put(msg.raw_message.partition, gallery_id, seen)
        return result

    async def _paused(self, call_next: Callable[[Any], Awaitable[Any]], msg: "StreamMessage[Any]") -> Any:
        """Call the handler; if its event will come again, FastStream asks for it at once, so wait before."""
        try:
            return await call_next(msg)
        except (AckMessage, RejectMessage):
            raise
        except Exception:
            if self._owner._ack_policy not in _ERRORS_SKIP:
                await asyncio.sleep(self._owner._retry_pause)
            raise


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the sequences which partitions have gone to another member of the group."""

    def __init__(self, sequences: Sequences) -> None:
        self._sequences = sequences
        self._owned: set[int] = set()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing: all partitions are revoked at each rebalance, and most of them come back."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Compare the partitions with those before."""
        owned = {partition.partition for partition in assigned}
        lost, self._owned = self._owned - owned, owned
        if lost:
            await self._sequences.lost(lost)


async def _parse(record: "ConsumerRecord[Any, Any]", original: Callable[..., Awaitable[Any]]) -> Any:
    """FastStream's message; its own parser raises for headers that are null or not UTF-8, which are left out."""
    readable = []
    for name, value in record.headers:
        with suppress(UnicodeDecodeError, AttributeError):
            value.decode()
            readable.append((name, value))
    if len(readable) < len(record.headers):
        record = replace(record, headers=tuple(readable))
    return await original(record)


def _decoded(record: "ConsumerRecord[Any, Any]") -> EventHead | SnapshotRecord | UnreadableEvent:
    try:
        return decode(record.value, record.headers)
    except Undecodable as error:
        return UnreadableEvent(error.reason, error.text, record)


async def _skip(event: Any) -> None:
    """What is done with records that have no handler."""
    if isinstance(event, UnreadableEvent):
        record = event.record
        where = (record.topic, record.partition, record.offset)
        log.error("%s-%d@%d is not an event: %s: %s", *where, event.reason, event.text)


def _log_gap(gap: Gap) -> None:
    log.error("events %d to %d of gallery %s have not come", gap.first, gap.last, gap.gallery_id)
