"""The Kafka consumer of all our processes: it reads committed records only, and reports each record that it skips.

aiokafka's own consumer raises an exception in the middle of a poll at a record that it cannot read. Records that the
poll has already taken from other partitions are then lost. This consumer returns such a record as an `Unreadable`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, OffsetResetStrategy
from aiokafka.errors import (
    KafkaError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from triptych.kit.kafka.reading.fetch_pace import FetchPace
from triptych.kit.kafka.reading.fetch_sessions import FetchSessions
from triptych.kit.kafka.reading.fetched import Fetched, Unreadable, has_whole_batch
from triptych.kit.logs.batch_lines import one_line_each, report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.clock import unix_milliseconds
from triptych.kit.process.telemetry import UNREADABLE

log = get_logger(__name__)

IncomingRecord: TypeAlias = ConsumerRecord[Any, Any]
# How soon an added partition or topic is found; aiokafka's own value is five minutes.
METADATA_MAX_AGE_MS = 10_000
_FIELDS_BEFORE_RACKS = 4
_OLD_METADATA = (NotLeaderForPartitionError, UnknownTopicOrPartitionError)


class FetchingStopped(KafkaError):  # type: ignore[misc]
    """The task that fetches records has ended; no poll will return any."""


class _Fetcher(Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher with `Fetched` instead of its own decoding, with `FetchSessions`, and without busy loops."""

    troubles: dict[TopicPartition, str]
    """Why a partition cannot be fetched."""
    pace: FetchPace | None
    sessions: FetchSessions
    _next_metadata_request_at = 0.0

    async def fetched_records(
        self, partitions: Sequence[TopicPartition], timeout: float = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[IncomingRecord]]:
        """The result of a poll. Raises KafkaError; no position has moved then."""
        if self._fetch_task.done() and not self._closed:
            raise FetchingStopped("the consumer has stopped fetching")
        found: dict[TopicPartition, list[IncomingRecord]] = await super().fetched_records(
            partitions, timeout, max_records
        )
        return found

    def _get_actions_per_node(self, assignment: Any) -> tuple[Any, Any, float, bool, Any]:
        if self.pace is not None:
            self._fetch_max_wait_ms, self._fetch_min_bytes = self.pace.next_fetch()
        fetches, resets, timeout, is_metadata_old, resumed = super()._get_actions_per_node(assignment)
        if is_metadata_old:
            # While a topic is missing, aiokafka repeats the request as soon as it gets the response.
            now = time.monotonic()
            is_metadata_old = now >= self._next_metadata_request_at
            if is_metadata_old:
                self._next_metadata_request_at = now + self._retry_backoff
            timeout = min(timeout, self._retry_backoff)
        return fetches, resets, timeout, is_metadata_old, resumed

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        """Fetch, and store the data for the next poll. Returns whether a waiting poll has to wake up."""
        has_failed = has_news = False
        try:
            session = self.sessions.of(node_id, assignment)
            response = await self._client.send(node_id, session.next_request(request))
            session.accept(response)
            if not assignment.active:
                return False
            now = unix_milliseconds()
            for topic, partitions in response.topics:
                for partition, code, highwater, *rest in partitions:
                    tp = TopicPartition(topic, partition)
                    state = assignment.state_value(tp)
                    if not state.has_valid_position or state.position != session.offsets.get(tp):
                        # A seek has moved the position. The broker would not say again where the partition ends.
                        session.restart()
                        continue
                    if code:
                        has_failed = True
                        has_news = self._handle_error(state, tp, for_code(code)) or has_news
                        continue
                    data = rest[-1]
                    state.highwater, state.lso, state.timestamp = highwater, rest[0], now
                    if data:  # most partitions of a response have none
                        if not has_whole_batch(data):
                            has_failed = True
                            self._report_trouble(state, tp, "the length of a batch is wrong")
                            continue
                        aborted = rest[2] if len(rest) > _FIELDS_BEFORE_RACKS else rest[-2]
                        self._store(assignment, tp, data, aborted)
                        has_news = True
                    self.troubles.pop(tp, None)
        except asyncio.CancelledError:
            return False
        except KafkaError as error:
            log.debug("nothing was fetched", error=error)
            has_failed = True
        except Exception:
            # If this task failed, aiokafka would silently stop fetching.
            log.exception("fetched data cannot be handled")
            has_failed = True
        if has_failed:
            if has_news:  # the pause must not delay the records of other partitions
                for waiter in self._fetch_waiters:
                    self._notify(waiter)
            with contextlib.suppress(asyncio.CancelledError):  # aiokafka expects a cancelled task to return
                await asyncio.sleep(self._retry_backoff)
        return has_news

    def _store(self, assignment: Any, tp: TopicPartition, data: bytes, aborted: Any) -> None:
        records = Fetched(tp, data, aborted, assignment.state_value(tp).position)
        self._records[tp] = FetchResult(
            tp, assignment=assignment, partition_records=records, backoff=self._prefetch_backoff
        )
        if self.pace is not None:
            self.pace.note_records()

    def _handle_error(self, state: Any, tp: TopicPartition, error: type[KafkaError]) -> bool:
        """Handle a partition's error. Returns whether a waiting poll has to wake up."""
        if error is OffsetOutOfRangeError:
            if self._default_reset_strategy == OffsetResetStrategy.NONE:
                self._set_error(tp, OffsetOutOfRangeError({tp: state.position}))
                return True
            log.warning(
                "an offset does not exist, and the position is reset",
                topic=tp.topic,
                partition=tp.partition,
                offset=state.position,
            )
            state.await_reset(self._default_reset_strategy)
        elif error is TopicAuthorizationFailedError:
            self._set_error(tp, TopicAuthorizationFailedError(tp.topic))
            return True
        elif issubclass(error, _OLD_METADATA):
            self._client.force_metadata_update()
        self._report_trouble(state, tp, error.__name__)
        return False

    def _report_trouble(self, state: Any, tp: TopicPartition, text: str) -> None:
        if tp not in self.troubles:
            offset = state.position if state.has_valid_position else None
            log.warning(
                "a partition cannot be fetched", topic=tp.topic, partition=tp.partition, offset=offset, error=text
            )
        self.troubles[tp] = text


class GroupReader(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose polls return `Unreadable`s among the records."""

    def __init__(self, *topics: str, pace: FetchPace | None = None, **options: Any) -> None:
        """`pace` decides how long brokers hold back responses; the other options are those of aiokafka's consumer."""
        self._pace = pace
        options.setdefault("isolation_level", "read_committed")
        options.setdefault("metadata_max_age_ms", METADATA_MAX_AGE_MS)
        super().__init__(*topics, **options)

    @property
    def _fetcher(self) -> _Fetcher | None:
        return self._own_fetcher

    @_fetcher.setter
    def _fetcher(self, fetcher: Fetcher | None) -> None:
        # aiokafka makes its fetcher inside `start` and has no option for another class.
        if fetcher is not None:
            fetcher.__class__ = _Fetcher
            fetcher.troubles = {}
            fetcher.pace = self._pace
            fetcher.sessions = FetchSessions()
        self._own_fetcher = fetcher

    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset of the next record to return, by assigned partition, where it is known."""
        subscription = self._subscription.subscription
        return _positions(subscription and subscription.assignment)

    def look_for_partitions(self, topic: str, count: int) -> None:
        """Look for added partitions of a topic now, unless this many are known already."""
        if len(self._client.cluster.partitions_for_topic(topic) or ()) < count:
            self._client.force_metadata_update()

    async def look_for_leaders(self, topic: str) -> None:
        """Ask which brokers lead the partitions of a topic.

        Otherwise aiokafka asks only when it has failed to find them for a question about offsets, and waits for 0.1 s
        before it puts that question again.

        Raises:
            KafkaError: the topic does not exist, or no broker answers.
        """
        await self._client._wait_on_metadata(topic)

    def trouble(self, topic_partition: TopicPartition) -> str | None:
        """Why the broker returns no records of a partition; None if fetching works."""
        return self._fetcher.troubles.get(topic_partition) if self._fetcher is not None else None


class Reader(GroupReader):
    """A consumer outside any group. It skips unreadable records, and counts and logs them."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[IncomingRecord]]:
        """Poll, as aiokafka's own method does. Returns only readable records."""
        found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        with one_line_each():
            return {tp: [record for record in records if _is_readable(record)] for tp, records in found.items()}

    async def getone(self, *partitions: TopicPartition) -> IncomingRecord:
        """The next readable record, as aiokafka's own method returns it."""
        while True:
            record: IncomingRecord = await super().getone(*partitions)
            if _is_readable(record):
                return record


def _is_readable(record: IncomingRecord) -> bool:
    if not isinstance(record, Unreadable):
        return True
    report_unreadable(record)
    return False


def report_unreadable(unreadable: Unreadable) -> None:
    """Count and log an unreadable record or batch."""
    UNREADABLE.labels(unreadable.topic).inc(unreadable.offset + 1 - unreadable.first_offset)
    report(log, logging.ERROR, "records cannot be read", [unreadable], _described, topic=unreadable.topic)


def _described(unreadable: Unreadable) -> dict[str, object]:
    return {
        "partition": unreadable.partition,
        "offset": unreadable.first_offset,
        "last_offset": unreadable.offset,
        "error": unreadable.text,
    }


def _positions(assignment: Any) -> dict[TopicPartition, int]:
    if assignment is None:
        return {}
    states = {tp: assignment.state_value(tp) for tp in assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}
