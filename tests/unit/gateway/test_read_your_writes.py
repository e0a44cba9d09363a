"""Waiting for the read model, without a read model."""

import asyncio
import time
from typing import Any, cast

import pytest

from triptych.contract.codec.notices import Shown, encode_notice
from triptych.gateway.writing.read_your_writes import (
    GalleryWaiters,
    Position,
    format_positions,
    parse_positions,
    wait_until_all_shown,
    wait_until_shown,
)
from triptych.readmodel.queries import Views

G = "49fbb84b-52a6-46d3-896c-ebf52f06c0df"
OTHER = "4dbae4a7-a303-465d-a437-4c2a785ed61d"


def notice(sequence: int, gallery_id: str = G, site_id: str = "s", items: tuple[Any, ...] = ()) -> bytes:
    return encode_notice([Shown(site_id, gallery_id, sequence, items)]).value


class Shows:
    """Views that show the gallery at each of these sequences in turn, and then at the last one."""

    def __init__(self, *sequences: int | None) -> None:
        self._sequences = list(sequences)
        self.queries = 0

    async def sequence_of(self, site_id: str, gallery_id: str) -> int | None:
        assert (site_id, gallery_id) == ("s", G)
        self.queries += 1
        return self._sequences.pop(0) if len(self._sequences) > 1 else self._sequences[0]

    @property
    def views(self) -> Views:
        return cast("Views", self)


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
    with waiters.watch("s", G) as waiter:
        for value in [
            notice(9, OTHER),
            notice(9, site_id="another"),
            encode_notice([]).value,
            None,
            b"not json",
            b"{}",
            b"[]",
            b'{"shown":1}',
            b'{"shown":[["s"]]}',
            b'{"shown":["abc"]}',
            f'{{"shown":[["s","{G}",3]],"items":1}}'.encode(),
            *(f'{{"shown":[["s","{G}",3]],"items":{{"{G}":{items}}}}}'.encode() for items in ("1", "[1]", "[{}]")),
        ]:
            waiters.receive(value)
        assert waiter.sequence == -1
        waiters.receive(encode_notice([Shown("s", OTHER, 9), Shown("s", G, 3)]).value)
        waiters.receive(notice(2))
        assert waiter.sequence == 3
        await waiter.wait_for(3)  # returns at once for a sequence that was shown before the call


async def test_a_waiter_has_the_items_of_the_newest_notice() -> None:
    waiters = GalleryWaiters()
    first, second, other = ({"id": id_, "title": "t"} for id_ in ("1", "2", "3"))
    with waiters.watch("s", G) as waiter:
        seen = []
        for value in [
            encode_notice([Shown("s", OTHER, 9, (other,)), Shown("s", G, 3, (first,))]).value,
            notice(2, items=(second,)),
            notice(4, items=(second,)),
            notice(5),
        ]:
            waiters.receive(value)
            seen.append(waiter.items)
        assert seen == [(first,), (first,), (second,), ()]


async def test_waiting_ends_at_the_sequence_or_a_later_one() -> None:
    waiters = GalleryWaiters()
    with waiters.watch("s", G) as waiter:
        waiting = asyncio.create_task(waiter.wait_for(5))
        await asyncio.sleep(0)
        waiters.receive(notice(4))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        waiters.receive(notice(6))
        await waiting


async def test_several_requests_wait_for_one_gallery() -> None:
    waiters = GalleryWaiters()
    with waiters.watch("s", G) as first:
        with waiters.watch("s", G) as second:
            waiters.receive(notice(1))
        waiters.receive(notice(2))
        assert (first.sequence, second.sequence) == (2, 1)
    assert len(waiters) == 0


async def test_a_notice_saves_every_query() -> None:
    waiters, shows = GalleryWaiters(), Shows(None)
    with waiters.watch("s", G) as waiter:
        waiting = asyncio.create_task(wait_until_shown(shows.views, waiter, "s", Position(G, 3), 5, 5))
        await asyncio.sleep(0)
        waiters.receive(notice(3))
        assert await waiting
    assert shows.queries == 0


async def test_a_lost_notice_costs_a_few_queries() -> None:
    waiters, shows = GalleryWaiters(), Shows(None, 1, 2, 3)
    with waiters.watch("s", G) as waiter:
        assert await wait_until_shown(shows.views, waiter, "s", Position(G, 3), 5, 0.001)
    assert shows.queries == 4


@pytest.mark.parametrize(("last", "is_shown"), [(3, True), (2, False)])
async def test_the_last_query_is_made_when_the_time_is_up(last: int, *, is_shown: bool) -> None:
    waiters, shows = GalleryWaiters(), Shows(last)
    begun = time.monotonic()
    with waiters.watch("s", G) as waiter:
        assert await wait_until_shown(shows.views, waiter, "s", Position(G, 3), 0.05, 60) is is_shown
    assert shows.queries == 1
    assert time.monotonic() - begun < 5


async def test_a_position_of_another_gateway_needs_no_notice() -> None:
    shows = Shows(3)
    assert await wait_until_all_shown(shows.views, GalleryWaiters(), "s", [Position(G, 3)] * 2, 0)
    assert shows.queries == 2
    shows = Shows(2, 2, 3)
    assert await wait_until_all_shown(shows.views, GalleryWaiters(), "s", [Position(G, 3)], 5)
    assert not await wait_until_all_shown(Shows(2).views, GalleryWaiters(), "s", [Position(G, 3)], 0)
