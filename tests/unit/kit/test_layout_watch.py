"""One reader of the stored layout serves all that follows it in a process, and reads often only during a growth."""

from collections.abc import Mapping
from typing import cast

import pytest

from triptych.cli.partitions.growing import KNOWN_SECONDS
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.layout import Growth, Layout, LiveCounts, TopicLayout
from triptych.kit.kafka.reading.reader import GroupReader
from triptych.kit.startup.layout_following import LayoutOfConsumer
from triptych.kit.startup.layout_watch import GROWING_SECONDS, IDLE_SECONDS, LayoutWatch, interval
from triptych.kit.startup.layouts import StoredLayout

GROWN = Layout(6, (Growth(3, 6, {}),))


class Stored:
    """A stored layout that counts how often it is read."""

    def __init__(self) -> None:
        self.layout = Layout(3)
        self.reads = 0

    async def read(self) -> Layout:
        self.reads += 1
        return self.layout


def test_the_layout_is_read_often_while_partitions_are_being_added() -> None:
    assert interval(Layout(3)) == interval(GROWN) == IDLE_SECONDS
    assert interval(Layout(3, growing_to=6)) == interval(Layout(3, growing_to=6, is_stopped=True)) == GROWING_SECONDS
    # A growth begins only when everybody has read that it does.
    assert KNOWN_SECONDS > IDLE_SECONDS > GROWING_SECONDS


async def test_a_consumer_follows_what_the_process_has_read() -> None:
    stored = Stored()
    watch = LayoutWatch(cast("StoredLayout", stored), LiveCounts(("t",), 3))
    own = LiveCounts((), 3)
    layout = LayoutOfConsumer(watch, own, "t", "t", lambda: None, holds_new=True)
    await layout.held(frozenset({0}))
    stored.layout = GROWN
    assert not layout.has_changed()
    await watch.read()
    assert layout.has_changed()
    assert (watch.counts["t"], own.partitions) == (6, 3), "a consumer changes only when its partitions are prepared"
    reads = stored.reads
    assert layout.has_changed()
    assert stored.reads == reads, "following reads nothing itself"
    await layout.held(frozenset({0}))
    assert not layout.has_changed()
    assert own.partitions == 6


async def test_what_a_consumer_reads_is_known_to_the_whole_process() -> None:
    """Otherwise partitions would be prepared again and again until the next regular read."""
    stored = Stored()
    watch = LayoutWatch(cast("StoredLayout", stored), LiveCounts(("t",), 3))
    layout = LayoutOfConsumer(watch, LiveCounts((), 3), "t", "t", lambda: None, holds_new=True)
    stored.layout = GROWN
    await layout.held(frozenset({0}))
    assert not layout.has_changed()
    assert watch.layout == GROWN


async def test_a_consumer_looks_for_the_partitions_that_are_being_added() -> None:
    """The group would divide them up to ten seconds later, and commands on them would wait."""

    class Reader:
        looked_for: tuple[str, int] | None = None

        def look_for_partitions(self, topic: str, count: int) -> None:
            self.looked_for = (topic, count)

    stored, reader = Stored(), Reader()
    watch = LayoutWatch(cast("StoredLayout", stored), LiveCounts(("t",), 3))
    own = cast("GroupReader", reader)
    layout = LayoutOfConsumer(watch, LiveCounts((), 3), "t", "t", lambda: own, holds_new=True)
    stored.layout = Layout(3, growing_to=6)
    await watch.read()
    layout.look_for_partitions()
    assert reader.looked_for == ("t", 6)
    stored.layout = GROWN
    await watch.read()
    layout.look_for_partitions()
    assert reader.looked_for == ("t", 6), "also if they were added before the process started"


@pytest.mark.parametrize(("later", "committed"), [({1: 9}, [{1: 9}]), ({}, [])], ids=["further", "taken away"])
async def test_the_end_of_a_former_partition_is_committed_as_far_as_the_consumer_is_by_then(
    later: dict[int, int], committed: list[dict[int, int]]
) -> None:
    """Kafka is asked in between, and the offset of a batch that is finished meanwhile must not be set back."""

    class Reader:
        async def committed(self, _partition: object) -> int:
            consumer.now = later
            return 3

    class Consumer:
        def __init__(self) -> None:
            self.now: Mapping[int, int] = {1: 5}
            self.committed: list[Mapping[int, int]] = []

        def reached(self) -> Mapping[int, int]:
            return self.now

        def commit(self, offsets: Mapping[int, int]) -> None:
            self.committed.append(offsets)

    consumer, reader = Consumer(), cast("GroupReader", Reader())
    watch = LayoutWatch(cast("StoredLayout", Stored()), LiveCounts(("t",), 6))
    layout = LayoutOfConsumer(watch, LiveCounts((), 6), "t", "t", lambda: reader, holds_new=True)
    layout.of_topic = TopicLayout(6, ((3, {1: 5}),))
    await layout.finish(cast("BatchConsumer", consumer))
    assert consumer.committed == committed
