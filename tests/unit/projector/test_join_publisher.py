"""`JoinPublisher`: head records have their first items, whatever other lanes do to the cache meanwhile."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest

from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import View

CACHED, UNCACHED = View("s", "a", 1, {"name": "a"}, 1), View("s", "b", 1, {"name": "b"}, 1)


class Repository:
    """Galleries of one item each. Reading them takes until `may_read`."""

    def __init__(self) -> None:
        self.is_reading, self.may_read = asyncio.Event(), asyncio.Event()

    async def first_items(self, views: Iterable[View], _limit: int) -> dict[str, list[dict[str, Any]]]:
        self.is_reading.set()
        await self.may_read.wait()
        return {view.gallery_id: [{"id": self.item_of(view), "sortOrder": 1}] for view in views}

    @staticmethod
    def item_of(view: View) -> str:
        """The only item of a gallery, another one at each sequence."""
        return f"item of {view.gallery_id} at {view.sequence}"

    async def load_items(self, items: Iterable[Any]) -> dict[str, Any]:
        assert not list(items)
        return {}


class Publisher:
    def __init__(self) -> None:
        self.heads: dict[bytes, Any] = {}

    async def partitions(self, _topic: str) -> int:
        return 1

    async def publish(self, records: Sequence[OutgoingRecord], _others: Sequence[OutgoingRecord]) -> None:
        self.heads.update((record.key or b"", orjson.loads(record.value or b"")) for record in records)


@pytest.mark.parametrize("drop", ["trim", "clear"])
async def test_a_gallery_keeps_its_first_items_although_another_lane_drops_them_from_the_cache(drop: str) -> None:
    repository, publisher = Repository(), Publisher()
    servers: list[Any] = [repository, publisher, publisher]
    join_publisher = JoinPublisher(servers[0], servers[1], servers[2], "galleries")
    repository.may_read.set()
    await join_publisher.publish(Batch({}), [CACHED])
    expected = publisher.heads.copy()
    assert repr(expected).count("item of a") == 1
    repository.may_read.clear()
    repository.is_reading.clear()
    publishing = asyncio.create_task(join_publisher.publish(Batch({}), [CACHED, UNCACHED]))
    await repository.is_reading.wait()
    if drop == "trim":
        join_publisher.head_cache._bytes_max = 0
    getattr(join_publisher.head_cache, drop)()
    repository.may_read.set()
    await publishing
    assert publisher.heads.items() >= expected.items()
    assert repr(publisher.heads).count("item of b") == 1


async def test_a_later_view_is_not_published_with_items_that_were_cached_for_a_former_one() -> None:
    """As by a former owner of the partition: the audit would take the record for right, by its sequence."""
    repository, publisher = Repository(), Publisher()
    servers: list[Any] = [repository, publisher, publisher]
    join_publisher = JoinPublisher(servers[0], servers[1], servers[2], "galleries")
    repository.may_read.set()
    for view in (CACHED, CACHED._replace(sequence=2)):
        await join_publisher.publish(Batch({}), [view])
        (head,) = publisher.heads.values()
        assert (head["sequence"], head["items"][0]["id"]) == (view.sequence, repository.item_of(view))
