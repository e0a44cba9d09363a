"""Which records of the joined topic an audit reads: those of other processes, and not a backlog of its own."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.projector.join.audit import RECORDS_AT_ONCE, AuditedJoinPublisher, Latest

PARTITION = 0
FORMER = 30  # records on the partition when it is claimed
CHECKED = 10


class Topic:
    """One partition, as its publishers see it."""

    def __init__(self) -> None:
        self.end = FORMER
        self.fails = False

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, self.end)

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        self.end += len(records)
        if self.fails:
            raise TransientFailure("no acknowledgement")


class Audit(AuditedJoinPublisher):
    """An audit of a `Topic`; it notes the ranges that it would read."""

    def __init__(self, topic: Topic) -> None:
        super().__init__(cast("Any", None), "galleries", cast("Any", topic), cast("Any", {"joined_offsets": None}))
        self._offsets = cast("Any", topic)
        self.stored = {PARTITION: CHECKED}
        self.read: list[tuple[int, int]] = []

    async def _read(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[Latest]:
        self.read += ranges.values()
        yield {}

    async def _load(self, partitions: Iterable[int]) -> dict[int, int]:
        return {partition: self.stored[partition] for partition in partitions}

    async def _store(self, offsets: Mapping[int, int]) -> None:
        self.stored.update(offsets)

    async def audit(self) -> list[tuple[int, int]]:
        """The ranges that an audit reads now."""
        self.read.clear()
        async for _ in self.suspects({PARTITION}):
            pass
        await self.mark_checked({})
        return list(self.read)


@pytest.fixture
def topic() -> Topic:
    """A partition with records of former owners."""
    return Topic()


@pytest.fixture
async def audit(topic: Topic) -> Audit:
    """The audit of an owner that has just claimed the partition."""
    audit = Audit(topic)
    await audit.start_watching([PARTITION])
    return audit


async def publish(audit: Audit, count: int) -> None:
    await audit.publish([OutgoingRecord("galleries", b"key", b"{}", (), PARTITION)] * count)


async def test_what_came_before_the_claim_is_read_once(audit: Audit) -> None:
    assert await audit.audit() == [(CHECKED, FORMER)]
    assert audit.stored == {PARTITION: FORMER}
    assert await audit.audit() == []


async def test_own_records_show_which_former_ones_they_replaced(audit: Audit) -> None:
    await publish(audit, 3)
    assert await audit.audit() == [(CHECKED, FORMER + 3)]
    await publish(audit, 3)
    assert await audit.audit() == []


async def test_a_backlog_of_own_records_is_not_read(audit: Audit) -> None:
    await publish(audit, RECORDS_AT_ONCE + 1)
    assert await audit.audit() == [(CHECKED, FORMER)]
    assert audit.stored == {PARTITION: FORMER + RECORDS_AT_ONCE + 1}
    assert await audit.audit() == []


@pytest.mark.parametrize("own", [0, RECORDS_AT_ONCE + 1])
async def test_a_record_of_another_process_is_read(audit: Audit, topic: Topic, own: int) -> None:
    await publish(audit, own)
    topic.end += 1
    assert await audit.audit() == [(CHECKED, topic.end)]
    topic.end += 1
    assert await audit.audit() == [(topic.end - 1, topic.end)]


async def test_records_that_were_perhaps_not_published_are_read(audit: Audit, topic: Topic) -> None:
    await audit.audit()
    topic.fails = True
    with pytest.raises(TransientFailure):
        await publish(audit, 2)
    topic.fails = False
    assert await audit.audit() == [(FORMER, FORMER + 2)]


async def test_a_topic_that_was_created_again_is_read_from_its_beginning(audit: Audit, topic: Topic) -> None:
    await audit.audit()
    topic.end = 4
    assert await audit.audit() == [(0, 4)]
