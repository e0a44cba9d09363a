"""Which events a stream carries, and its positions, without Kafka."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord

from triptych.contract.domain_event import EventType
from triptych.gateway.api.dependencies import GatewayState
from triptych.gateway.api.events import _live
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, InvalidRequest
from triptych.gateway.live import heartbeats as heartbeats_module
from triptych.gateway.live import subscription as subscription_module
from triptych.gateway.live.streams import (
    Following,
    Streams,
    format_event_id,
    in_order,
    parse_event_id,
    with_added,
)
from triptych.gateway.live.subscription import EventFilter, Heartbeat, Positions, Subscription
from triptych.gateway.settings import GatewaySettings
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.layout import Growth, Layout
from triptych.kit.kafka.partitions import partition_of

G, OTHER = "49fbb84b-52a6-46d3-896c-ebf52f06c0df", "4dbae4a7-a303-465d-a437-4c2a785ed61d"


def record(
    gallery_id: str = G, site: str | None = "s", kind: str = EventType.ITEM_CREATED, partition: int = 0, offset: int = 0
) -> Any:
    headers = [("ce_type", kind.encode()), *([("ce_siteid", site.encode())] if site else [])]
    return ConsumerRecord("events", partition, offset, 0, 0, gallery_id.encode(), b"{}", None, 0, 0, tuple(headers))


@asynccontextmanager
async def following() -> AsyncIterator[None]:
    yield


def started_streams(
    partitions: int = 3, ends: Positions | None = None, followed: Following = following, **fields: Any
) -> Streams:
    """Streams at position 10 of each partition. The topic ends at `ends`, or at 10."""

    async def ends_of(asked: Iterable[int]) -> Positions:
        return {partition: (ends or {}).get(partition, 10) for partition in asked}

    streams = Streams(GatewaySettings(topic_partitions=partitions, **fields), "events", followed, ends_of)
    streams.start_at(dict.fromkeys(range(partitions), 10))
    return streams


async def offset_of_next(stream: Subscription) -> int:
    record = await stream.next()
    assert record is not None
    assert not isinstance(record, Heartbeat)
    return int(record.offset)


def test_positions_survive_the_event_id() -> None:
    assert parse_event_id(format_event_id({2: 5, 0: 7})) == {0: 7, 2: 5}


@pytest.mark.parametrize("text", ["", "1", "1:", "1:2,", "a:1", "-1:2", "1:2;3:4", f"1:{'9' * 19}"])
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_event_id(text)
    assert caught.value.violations[0].field == "Last-Event-ID"


@pytest.mark.parametrize(
    ("event_filter", "event", "expected"),
    [
        (EventFilter("s"), record(), True),
        (EventFilter("s", G), record(), True),
        (EventFilter("s", OTHER), record(), False),
        (EventFilter("t"), record(), False),
        (EventFilter("t", G), record(), False),
        (EventFilter("default"), record(site=None), False),
        (EventFilter("s"), record(kind="triptych.snapshot.v1.Item"), False),
    ],
)
def test_what_a_stream_carries(event_filter: EventFilter, event: Any, expected: bool) -> None:
    assert event_filter.includes(event) is expected


async def test_a_stream_begins_at_the_end_of_the_topic_although_the_gateway_is_behind() -> None:
    streams = started_streams(ends={1: 21, 2: 11})
    async with streams.subscribe(EventFilter("s")) as site, streams.subscribe(EventFilter("s", G)) as gallery:
        partition = partition_of(G.encode(), 3)
        assert site.start_positions == {0: 10, 1: 21, 2: 11}
        assert gallery.start_positions == {partition: site.start_positions[partition]}
        for offset in (10, 11, 12):
            streams.receive(record(partition=2, offset=offset))
        for stream in (site, gallery):
            assert [await offset_of_next(stream) for _ in range(2)] == [11, 12]
            streams.end()
            assert await stream.next() is None
        assert streams.positions_of(EventFilter("s")) == {0: 10, 1: 10, 2: 13}
    assert len(streams) == 0


def gateway_of(streams: Streams) -> GatewayState:
    return cast("GatewayState", SimpleNamespace(settings=GatewaySettings(), streams=streams))


async def test_a_heartbeat_never_goes_back_and_includes_added_partitions() -> None:
    streams = started_streams(partitions=1, ends={0: 12}, gateway_stream_heartbeat=0.01)
    gateway = gateway_of(streams)
    async with streams.subscribe(EventFilter("s")) as subscription:
        streams.receive(record(site="another", partition=1, offset=0))
        async with aclosing(_live(gateway, subscription, dict(subscription.start_positions))) as frames:
            assert b"id: 0:12,1:1\n" in await anext(frames)


async def test_a_heartbeat_says_at_once_when_no_events_can_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats_module, "TICK_SECONDS", 0.01)
    streams = started_streams(partitions=1, ends={0: 12}, gateway_stream_heartbeat=900)
    gateway = gateway_of(streams)
    async with (
        streams.subscribe(EventFilter("s")) as subscription,
        aclosing(_live(gateway, subscription, dict(subscription.start_positions))) as frames,
    ):
        streams.problem = lambda: "away"
        assert (await anext(frames)).startswith(b": Kafka does not answer\nretry: 1000\nid: ")
        streams.problem = lambda: None
        assert (await anext(frames)).startswith(b"retry: 1000\nid: ")


GROWN = Layout(12, (Growth(3, 6, {}), Growth(6, 12, {})))


def test_an_event_id_from_before_partitions_were_added_means_their_beginnings() -> None:
    assert with_added({0: 7, 1: 8, 2: 9}, Layout(3)) == {0: 7, 1: 8, 2: 9}
    assert with_added({1: 8}, GROWN) == {1: 8, **dict.fromkeys(range(3, 12), 0)}
    assert with_added({1: 8, 4: 9}, GROWN) == {1: 8, 4: 9, **dict.fromkeys(range(6, 12), 0)}
    assert with_added({1: 8, 7: 9}, GROWN) == {1: 8, 7: 9}


def test_added_partitions_are_read_after_the_former_ones() -> None:
    assert in_order([7, 1, 11, 4, 0], GROWN) == [[0, 1], [4], [7, 11]]
    assert in_order([2, 1], Layout(3)) == [[1, 2]]


async def test_a_gallerys_stream_reads_every_partition_that_the_gallery_had() -> None:
    async def ends_of(asked: Iterable[int]) -> Positions:
        return dict.fromkeys(asked, 5)

    streams = Streams(GatewaySettings(topic_partitions=3), "events", following, ends_of, lambda: GROWN)
    async with streams.subscribe(EventFilter("s", G)) as subscription:
        assert set(subscription.start_positions) == {partition_of(G.encode(), count) for count in (3, 6, 12)}


async def test_a_stream_that_cannot_begin_leaves_nothing_behind() -> None:
    async def ends_of(_asked: Iterable[int]) -> Positions:
        raise TransientFailure("Kafka is away")

    def away() -> AbstractAsyncContextManager[None]:
        raise TransientFailure("Kafka is away")

    for streams in (Streams(GatewaySettings(), "events", following, ends_of), started_streams(followed=away)):
        streams.start_at({0: 10})
        with pytest.raises(HttpFailure) as caught:
            async with streams.subscribe(EventFilter("s")):
                pytest.fail("begun")
        assert caught.value.status == 503
        assert len(streams) == 0


@pytest.mark.parametrize(("bound", "value"), [("QUEUE_MAX", 4), ("QUEUE_BYTES", 3 * len(b"{}"))])
async def test_a_slow_reader_gets_what_was_kept_and_then_the_end(
    bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_module, bound, value)
    streams = started_streams()
    async with streams.subscribe(EventFilter("s")) as subscription:
        for offset in range(10, 20):
            streams.receive(record(offset=offset))
        offsets = []
        while (event := await subscription.next()) is not None:
            assert not isinstance(event, Heartbeat)
            offsets.append(event.offset)
        assert offsets == [10, 11, 12]


async def test_too_many_streams() -> None:
    streams = started_streams(gateway_streams=1)
    async with streams.subscribe(EventFilter("s")) as first:
        with pytest.raises(ApplicationFailure) as caught:
            async with streams.subscribe(EventFilter("s")):
                pytest.fail("begun")
        assert caught.value.status == 429
        streams.end()
        assert await first.next() is None
    async with streams.subscribe(EventFilter("s")):
        assert len(streams) == 1
