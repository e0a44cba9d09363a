"""The Kafka consumer of every process of ours: reads committed records only, and skips none without saying so.

aiokafka's own raises an exception in the middle of a poll when it meets a record that it cannot read, and what the poll
had already taken from other partitions is lost. Here such a record comes out as an `Unreadable`.
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

from triptych.kit.kafka.reading.fetched import Fetched, Unreadable, has_whole_batch
from triptych.kit.process.telemetry import UNREADABLE

log = logging.getLogger(__name__)

IncomingRecord: TypeAlias = ConsumerRecord[Any, Any]
# A partition or topic that was added is found after so long; aiokafka's own value is five minutes.
METADATA_MAX_AGE_MS = 10_000
_PARTS_BEFORE_RACKS = 4
_OLD_METADATA = (NotLeaderForPartitionError, UnknownTopicOrPartitionError)


class _Fetcher(Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher with `Fetched` in the place of its own decoding, and without its busy loops."""

    troubles: dict[TopicPartition, str]
    _ask_again_at = 0.0

    async def fetched_records(
        self, partitions: Sequence[TopicPartition], timeout: float = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[IncomingRecord]]:
        """What the consumer's poll returns. Raises KafkaError, and then has moved no position."""
        if self._fetch_task.done() and not self._closed:
            raise KafkaError("the consumer does not fetch any more")
        found: dict[TopicPartition, list[IncomingRecord]] = await super().fetched_records(
            partitions, timeout, max_records
        )
        return found

    def _get_actions_per_node(self, assignment: Any) -> tuple[Any, Any, float, bool, Any]:
        fetches, resets, timeout, is_metadata_old, resumed = super()._get_actions_per_node(assignment)
        if is_metadata_old:
            # aiokafka asks again as soon as it is answered, for as long as a topic is missing.
            now = time.monotonic()
            is_metadata_old = now >= self._ask_again_at
            if is_metadata_old:
                self._ask_again_at = now + self._retry_backoff
        return fetches, resets, timeout, is_metadata_old, resumed

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        """Fetch and keep what comes; whether a poll has to look at it."""
        has_failed = has_news = False
        try:
            response = await self._client.send(node_id, request)
            if not assignment.active:
                return False
            asked = {
                TopicPartition(topic, partition): offset
                for topic, parts in request.topics
                for partition, offset, _ in parts
            }
            for topic, parts in response.topics:
                for partition, code, highwater, *rest in parts:
                    place = TopicPartition(topic, partition)
                    state = assignment.state_value(place)
                    if not state.has_valid_position or state.position != asked[place]:
                        continue  # it was sought elsewhere meanwhile
                    if code == 0:
                        state.highwater, state.lso, state.timestamp = highwater, rest[0], int(time.time() * 1000)
                        aborted = rest[2] if len(rest) > _PARTS_BEFORE_RACKS else rest[-2]
                        if has_whole_batch(rest[-1]):
                            self._keep(assignment, place, rest[-1], aborted)
                            has_news = True
                        elif rest[-1]:
                            has_failed = True
                            self._blame(state, place, "the length of a batch is wrong")
                            continue
                        self.troubles.pop(place, None)
                    else:
                        has_failed = True
                        has_news = self._fail(state, place, for_code(code)) or has_news
        except asyncio.CancelledError:
            return False
        except KafkaError as error:
            log.debug("nothing fetched: %r", error)
            has_failed = True
        except Exception:
            # If this task failed, aiokafka would never fetch again, and would tell nobody.
            log.exception("what was fetched cannot be taken")
            has_failed = True
        if has_failed:
            with contextlib.suppress(asyncio.CancelledError):  # whoever cancels this waits for it to end, not to fail
                await asyncio.sleep(self._retry_backoff)
        return has_news

    def _keep(self, assignment: Any, place: TopicPartition, data: bytes, aborted: Any) -> None:
        records = Fetched(place, data, aborted, assignment.state_value(place).position)
        self._records[place] = FetchResult(
            place, assignment=assignment, partition_records=records, backoff=self._prefetch_backoff
        )

    def _fail(self, state: Any, place: TopicPartition, error: type[KafkaError]) -> bool:
        if error is OffsetOutOfRangeError:
            if self._default_reset_strategy == OffsetResetStrategy.NONE:
                self._set_error(place, OffsetOutOfRangeError({place: state.position}))
                return True
            log.warning("%s-%d: offset %d is not there; beginning anew", *place, state.position)
            state.await_reset(self._default_reset_strategy)
        elif error is TopicAuthorizationFailedError:
            self._set_error(place, TopicAuthorizationFailedError(place.topic))
            return True
        elif issubclass(error, _OLD_METADATA):
            self._client.force_metadata_update()
        self._blame(state, place, error.__name__)
        return False

    def _blame(self, state: Any, place: TopicPartition, text: str) -> None:
        if place not in self.troubles:
            log.warning(
                "%s-%d@%s cannot be fetched: %s", *place, state.position if state.has_valid_position else "", text
            )
        self.troubles[place] = text


class GroupReader(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose polls hand over `Unreadable`s among the records."""

    def __init__(self, *topics: str, **options: Any) -> None:
        options.setdefault("isolation_level", "read_committed")
        options.setdefault("metadata_max_age_ms", METADATA_MAX_AGE_MS)
        super().__init__(*topics, **options)

    @property
    def _fetcher(self) -> _Fetcher | None:
        return self._own_fetcher

    @_fetcher.setter
    def _fetcher(self, fetcher: Fetcher | None) -> None:
        # aiokafka makes its fetcher in the middle of `start`, and knows no way to give it another.
        if fetcher is not None:
            fetcher.__class__ = _Fetcher
            fetcher.troubles = {}
        self._own_fetcher = fetcher

    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset behind what polls have handed over or passed over, where it is known, by assigned partition."""
        subscription = self._subscription.subscription
        return _positions(subscription and subscription.assignment)

    def trouble(self, place: TopicPartition) -> str | None:
        """Why the broker refuses to give what is on a partition, None if it does not refuse."""
        return self._fetcher.troubles.get(place) if self._fetcher is not None else None


class Reader(GroupReader):
    """A consumer outside any group: what cannot be read is skipped, counted, and told in the log."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[IncomingRecord]]:
        """Like aiokafka's."""
        found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        return {place: [record for record in records if _is_readable(record)] for place, records in found.items()}

    async def getone(self, *partitions: TopicPartition) -> IncomingRecord:
        """Like aiokafka's."""
        while True:
            record: IncomingRecord = await super().getone(*partitions)
            if _is_readable(record):
                return record


def _is_readable(record: IncomingRecord) -> bool:
    if not isinstance(record, Unreadable):
        return True
    report_unreadable(record)
    return False


def report_unreadable(found: Unreadable) -> None:
    """Count and log what cannot be read."""
    UNREADABLE.labels(found.topic).inc(found.offset + 1 - found.first_offset)
    log.error(
        "%s-%d@%d to %d cannot be read: %s", found.topic, found.partition, found.first_offset, found.offset, found.text
    )


def _positions(assignment: Any) -> dict[TopicPartition, int]:
    if assignment is None:
        return {}
    states = {place: assignment.state_value(place) for place in assignment.tps}
    return {place: state.position for place, state in states.items() if state.has_valid_position}
