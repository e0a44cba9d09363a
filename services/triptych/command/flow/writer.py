"""Owns the order of writing: events reach the topic in the order in which their transactions commit (I3)."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.flow.reply_publisher import AddressedReply, ReplyPublisher
from triptych.command.store.head_cache import HeadCache
from triptych.command.store.jobs import JobUpdate
from triptych.command.store.outbox import Outbox, OutboxRow
from triptych.command.store.repository import WriteModelRepository
from triptych.kit.failures import Fault, TransientFailure, fault_of
from triptych.kit.keyed_locks import KeyedLocks
from triptych.kit.logs.loggers import get_logger
from triptych.kit.tracing.spans import NO_SPANS, BatchSpans

log = get_logger(__name__)


class ExclusiveWriter:
    """Writes to partitions while nothing else in this process does; `Writer.exclusive` makes it."""

    def __init__(
        self,
        partitions: frozenset[int],
        repository: WriteModelRepository,
        head_cache: HeadCache,
        outbox: Outbox,
        reply_publisher: ReplyPublisher,
    ) -> None:
        self._partitions = partitions
        self._repository = repository
        self._head_cache = head_cache
        self._outbox = outbox
        self._reply_publisher = reply_publisher
        self.may_have_committed = False

    async def commit(
        self, unit: UnitOfWork, partitions: set[int], at: datetime, update: JobUpdate | None = None
    ) -> list[OutboxRow]:
        """Commit decisions on these partitions; the result is the rows to publish before the block ends.

        Raises:
            RuntimeError: one of the partitions is not locked by the block, or the block has ended.
            Exception: what `WriteModelRepository.save` raises.
        """
        if not partitions <= self._partitions:
            raise RuntimeError(f"partitions {sorted(partitions - self._partitions)} are not locked")
        self.may_have_committed = True
        try:
            rows = await self._repository.save(unit, partitions, at, update)
        except BaseException:
            self._head_cache.clear()
            raise
        self._head_cache.keep(unit)
        return rows

    async def publish(
        self,
        rows: Sequence[OutboxRow],
        replies: Sequence[AddressedReply],
        spans: BatchSpans = NO_SPANS,
        senders: Sequence[int] = (),
    ) -> None:
        """Publish the events of committed rows, and replies.

        Args:
            rows, replies: what to publish.
            spans: those of the commands.
            senders: the indexes of the accepted commands there.

        Raises:
            Exception: what `ReplyPublisher.publish` raises.
        """
        records = self._outbox.records(rows)
        with spans.sending(self._outbox.topic, len(records), senders):
            await self._reply_publisher.publish(records, replies)
        self._outbox.acknowledge_soon(rows)

    async def save(self, unit: UnitOfWork, at: datetime, update: JobUpdate) -> None:
        """Commit and publish a step of a job. Raises what `commit` and `publish` raise."""
        await self.publish(await self.commit(unit, set(self._partitions), at, update), ())

    def close(self) -> None:
        """Refuse every later commit."""
        self._partitions = frozenset()


class Writer:
    """Gives the right to write to galleries, partition by partition.

    Events are ordered within a partition only: different partitions may belong to different processes. So each
    partition has a lock of its own.
    """

    def __init__(
        self, repository: WriteModelRepository, head_cache: HeadCache, outbox: Outbox, reply_publisher: ReplyPublisher
    ) -> None:
        self._repository = repository
        self._head_cache = head_cache
        self._outbox = outbox
        self._reply_publisher = reply_publisher
        # The locks are fair, so a lane of a batch waits for one step of a job at most.
        self._locks: KeyedLocks[int] = KeyedLocks()
        self._unpublished: set[int] = set()
        """The partitions whose committed events may be missing on the topic, because an earlier block has failed."""

    @asynccontextmanager
    async def exclusive(self, partitions: Iterable[int]) -> AsyncIterator[ExclusiveWriter]:
        """Lock these partitions until the block ends, and first publish the events that earlier blocks have left.

        A block that ends without an exception must have published all rows that it has committed.

        Raises:
            TransientFailure: the events of earlier blocks cannot be published now.
        """
        locked = frozenset(partitions)
        async with self._locks.of(locked):
            await self._flush(locked & self._unpublished)
            writer = ExclusiveWriter(locked, self._repository, self._head_cache, self._outbox, self._reply_publisher)
            try:
                yield writer
            except BaseException:
                if writer.may_have_committed:
                    self._unpublished |= locked
                raise
            finally:
                writer.close()

    async def publish_leftovers(self, partitions: frozenset[int]) -> int:
        """Publish the events that previous owners have left in the outbox; the result is their number.

        Raises:
            TransientFailure: they cannot be published now. Nothing can be committed until they are.
        """
        async with self._locks.of(partitions):
            self._head_cache.clear()
            self._unpublished |= partitions
            return await self._flush(partitions)

    async def flush_acknowledgements(self) -> None:
        """Acknowledge published rows now, so that the next owner does not publish them again."""
        await self._outbox.flush_acknowledgements()

    async def _flush(self, partitions: frozenset[int]) -> int:
        if not partitions:
            return 0
        try:
            count = await self._outbox.flush(partitions)
        except Exception as error:
            if fault_of(error) is Fault.OURS:
                log.exception("the outbox cannot be published")
            # Whatever the cause, no record is to blame, and no command may be carried out before this succeeds.
            raise TransientFailure(f"the outbox cannot be published: {error!r}") from error
        self._unpublished -= partitions
        return count
