"""Waiting for the read model, without a read model."""

import asyncio
import uuid

import orjson
import pytest

from triptych.contract.gallery import ITEMS_MAX
from triptych.contract.joined import gallery_key, item_key
from triptych.gateway.writing import read_your_writes
from triptych.gateway.writing.read_your_writes import GalleryWaiters, Position, format_positions, parse_positions

G = "49fbb84b-52a6-46d3-896c-ebf52f06c0df"
OTHER = "4dbae4a7-a303-465d-a437-4c2a785ed61d"


def head(sequence: int) -> bytes:
    return orjson.dumps({"galleryId": G, "sequence": sequence})


def test_positions_survive_the_header() -> None:
    position = Position(G, 12)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "12", G, f"{G}:", f"{G}:-1", f"{G}:1e3", f"{G}:{'9' * 19}", f"{G.upper()}:1"])
def test_other_texts_are_not_positions(text: str) -> None:
    assert Position.parse(text) is None


def test_the_header_carries_the_newest_position_of_a_few_galleries() -> None:
    ids = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(12)]
    earlier = [Position(gallery_id, 3) for gallery_id in ids]
    text = format_positions(Position(ids[2], 9), earlier)
    assert parse_positions(text) == [
        Position(ids[2], 9),
        *(Position(gallery_id, 3) for gallery_id in (*ids[:2], *ids[3:8])),
    ]
    assert parse_positions(f"somebody else's,{Position(G, 1)},") == [Position(G, 1)]
    assert parse_positions("") == []


async def test_a_waiter_follows_its_gallery_from_its_start() -> None:
    waiters = GalleryWaiters()
    with waiters.watch(G) as waiter:
        for key, value in [
            (gallery_key(OTHER), head(9)),
            (item_key(G, OTHER), head(9)),
            (None, None),
            (b"not a key", head(9)),
            (gallery_key(G), b"not json"),
            (gallery_key(G), b"{}"),
        ]:
            waiters.receive(key, value)
        assert waiter.sequence == -1
        waiters.receive(gallery_key(G), head(3))
        waiters.receive(gallery_key(G), head(2))
        assert waiter.sequence == 3
        await waiter.wait_for(3)  # returns at once for a sequence that was shown before the call


def shown(sequence: int, title: str) -> bytes:
    return orjson.dumps({"sequence": sequence, "item": {"title": title}})


async def test_a_waiter_follows_the_items_of_its_gallery() -> None:
    waiters = GalleryWaiters()
    with waiters.watch(G) as waiter:
        for key, value in [
            (item_key(OTHER, OTHER), shown(1, "of another")),
            (item_key(G, OTHER), shown(2, "old")),
            (item_key(G, OTHER), shown(4, "new")),
            (item_key(G, OTHER), shown(3, "outdated, of a former owner")),
            (item_key(G, G), shown(5, "gone")),
            (item_key(G, G), None),
            (item_key(G, G), shown(4, "outdated, of a former owner")),
            (item_key(G, OTHER), b'{"sequence": 9}'),
            (item_key(G, OTHER), b'{"sequence": 9, "item": 1}'),
        ]:
            waiters.receive(key, value)
        assert waiter.items == {OTHER: {"title": "new"}}
        assert waiter.sequence == -1


async def test_a_waiter_keeps_as_many_items_as_a_response_can_have() -> None:
    waiters = GalleryWaiters()
    ids = [str(uuid.uuid4()) for _ in range(ITEMS_MAX + 1)]
    with waiters.watch(G) as waiter:
        for item_id in ids:
            waiters.receive(item_key(G, item_id), shown(1, "first"))
        waiters.receive(item_key(G, ids[0]), shown(2, "changed"))
        assert list(waiter.items) == ids[:ITEMS_MAX]
        assert waiter.items[ids[0]] == {"title": "changed"}


async def test_the_bytes_that_a_waiter_keeps_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_your_writes, "KEPT_BYTES", 2 * len(shown(1, "first")))
    waiters, ids = GalleryWaiters(), [str(uuid.uuid4()) for _ in range(4)]
    with waiters.watch(G) as waiter:
        for item_id in ids:
            waiters.receive(item_key(G, item_id), shown(1, "first"))
        assert list(waiter.items) == ids[:2]
        # An item that is no longer kept must not be returned in an older state.
        waiters.receive(item_key(G, ids[0]), shown(2, "changed"))
        assert list(waiter.items) == ids[1:2]


async def test_waiting_ends_at_the_sequence_or_a_later_one() -> None:
    waiters = GalleryWaiters()
    with waiters.watch(G) as waiter:
        waiting = asyncio.create_task(waiter.wait_for(5))
        await asyncio.sleep(0)
        waiters.receive(gallery_key(G), head(4))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        waiters.receive(gallery_key(G), head(6))
        await waiting


async def test_a_tombstone_ends_one_wait_only() -> None:
    waiters = GalleryWaiters()
    with waiters.watch(G) as waiter:
        waiters.receive(gallery_key(G), None)
        await waiter.wait_for(5)
        again = asyncio.create_task(waiter.wait_for(5))
        await asyncio.sleep(0)
        assert not again.done()
        again.cancel()


async def test_several_requests_wait_for_one_gallery() -> None:
    waiters = GalleryWaiters()
    with waiters.watch(G) as first:
        with waiters.watch(G) as second:
            waiters.receive(gallery_key(G), head(1))
        waiters.receive(gallery_key(G), head(2))
        assert (first.sequence, second.sequence) == (2, 1)
    assert len(waiters) == 0
