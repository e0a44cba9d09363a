"""`GalleryConsumer` on a real Kafka: restarts, groups, unreadable records, states that are too old."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from tests.support.installation import PARTITIONS, Installation
from tests.support.joined_records import JoinedRecord, head, item, no_head
from tests.support.kafka import raw_producer
from tests.support.sender import galleries_on
from triptych.client import Change, GalleryConsumer, GalleryStorage, KafkaUnavailable, SQLiteStorage
from triptych.client.joined import consumer as consuming
from triptych.client.joined.storage import Position
from triptych.kit.kafka.partitions import partition_of

pytestmark = pytest.mark.only_topics("galleries")

SECONDS = 20


@pytest.fixture
async def producer(installation: Installation) -> AsyncIterator[AIOKafkaProducer]:
    async with raw_producer(installation.addresses.kafka_bootstrap) as made:
        yield made


@pytest.fixture
def publish(installation: Installation, producer: AIOKafkaProducer) -> Callable[..., Any]:
    async def publish(*records: JoinedRecord) -> None:
        for key, value in records:
            partition = partition_of(key.partition(b"/")[0], PARTITIONS)
            await producer.send_and_wait(installation.topics.galleries, value, key=key, partition=partition)

    return publish


def consumer(installation: Installation, storage: GalleryStorage | None = None, **options: Any) -> GalleryConsumer:
    bootstrap = installation.addresses.kafka_bootstrap
    return GalleryConsumer(bootstrap, storage, topic_prefix=installation.topics.prefix, **options)


async def until(galleries: GalleryConsumer, is_enough: Callable[[Change], bool]) -> Change:
    async with asyncio.timeout(SECONDS):
        async for change in galleries:
            if is_enough(change):
                return change
    raise AssertionError("the changes have no end")


@asynccontextmanager
async def looping(galleries: GalleryConsumer) -> AsyncIterator[list[Change]]:
    """The changes so far, while a loop reads them."""
    told: list[Change] = []

    async def loop() -> None:
        async for change in galleries:
            told.append(change)

    running = asyncio.create_task(loop())
    try:
        yield told
    finally:
        running.cancel()
        await asyncio.wait({running})


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_galleries_are_shown_and_a_file_continues_after_a_restart(
    installation: Installation, publish: Callable[..., Any], tmp_path: Path
) -> None:
    first, second, third = galleries_on(0, 1, 2)
    item_id = str(uuid.uuid4())
    await publish(item(first, item_id, 2, title="one"), head(first, 2, 1, "First"), head(second, 1, 0, "Second"))
    async with consumer(installation, SQLiteStorage(tmp_path / "g.db")) as galleries:
        async with looping(galleries) as told:
            await eventually(lambda: {one.gallery_id for one in told} == {first, second} and galleries.is_caught_up)
        gallery = galleries.get(first)
        assert gallery is not None
        assert (gallery["name"], [one["title"] for one in gallery["items"]]) == ("First", ["one"])
        assert galleries.items(first) == gallery["items"]

    await publish(no_head(second), head(third, 1, 0, "Third"))
    async with consumer(installation, SQLiteStorage(tmp_path / "g.db")) as galleries:
        assert set(galleries) == {first, second}
        async with looping(galleries) as told:
            await eventually(lambda: len(told) == 2 and galleries.is_caught_up)
        assert {(one.gallery_id, one.sequence) for one in told} == {(second, None), (third, 1)}
        assert set(galleries) == {first, third}


async def test_a_change_that_was_not_handled_is_told_again(
    installation: Installation, publish: Callable[..., Any], tmp_path: Path
) -> None:
    (gallery_id,) = galleries_on(0)
    await publish(head(gallery_id, 1, 0))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with consumer(installation, SQLiteStorage(tmp_path / "g.db")) as galleries:
                assert (await until(galleries, lambda _: True)).gallery_id == gallery_id
                raise ZeroDivisionError
    async with consumer(installation, SQLiteStorage(tmp_path / "g.db")) as galleries:
        await until(galleries, lambda _: True)
    async with consumer(installation, SQLiteStorage(tmp_path / "g.db")) as galleries:
        await publish(head(gallery_id, 2, 0))
        assert (await until(galleries, lambda _: True)).sequence == 2


async def test_a_break_loses_no_change(installation: Installation, publish: Callable[..., Any]) -> None:
    ids = galleries_on(0, 1, 2, 0, 1, 2)
    await publish(*(head(one, 1, 0) for one in ids))
    async with consumer(installation) as galleries:
        told = [(await until(galleries, lambda _: True)).gallery_id for _ in ids]
        assert sorted(told) == sorted(ids)


async def test_an_unreadable_record_is_reported_and_the_next_ones_are_read(
    installation: Installation, publish: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    (gallery_id,) = galleries_on(0)
    topic, refused = installation.topics.galleries, []
    await publish((gallery_id.encode(), b"no json"), (b"no key", b"{}"), head(gallery_id, 1, 0))
    async with consumer(installation, on_unreadable=lambda record, error: refused.append(record.value)) as galleries:
        await until(galleries, lambda change: change.gallery_id == gallery_id)
        async with looping(galleries):
            await eventually(lambda: sorted(refused) == [b"no json", b"{}"])
    async with consumer(installation) as galleries:
        await until(galleries, lambda change: change.gallery_id == gallery_id)
    assert any(f"{topic}-0@0 is not a record of the joined topic" in line.getMessage() for line in caplog.records)


async def test_records_of_a_batch_that_failed_are_read_again(
    installation: Installation, publish: Callable[..., Any], tmp_path: Path
) -> None:
    (gallery_id,) = galleries_on(0)
    await publish(head(gallery_id, 1, 0), (gallery_id.encode(), b"no json"))
    failures = 0

    def fail_once(record: object, error: ValueError) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise RuntimeError("no room")

    async with consumer(installation, SQLiteStorage(tmp_path / "g.db"), on_unreadable=fail_once) as galleries:
        with pytest.raises(RuntimeError, match="no room"):
            await until(galleries, lambda _: False)
        assert set(galleries) == set()
        assert (await until(galleries, lambda _: True)).gallery_id == gallery_id
    assert failures == 2


async def test_a_state_that_is_too_old_is_read_again_from_the_beginning(
    installation: Installation, publish: Callable[..., Any], tmp_path: Path
) -> None:
    (gone, there) = galleries_on(0, 0)
    storage = SQLiteStorage(tmp_path / "g.db")
    await publish(head(gone, 1, 0), head(there, 1, 0))
    async with consumer(installation, storage) as galleries, looping(galleries) as told:
        await eventually(lambda: len(told) == 2)
    storage = SQLiteStorage(tmp_path / "g.db")
    ghost = str(uuid.uuid4())
    head_of_ghost = storage.head(gone)
    assert head_of_ghost is not None
    storage.set_head(ghost, head_of_ghost)  # its tombstone came and went while nobody read
    storage.set_position(0, Position(storage.positions()[0].offset, datetime.now(UTC) - timedelta(hours=25)))
    storage.commit()
    async with consumer(installation, storage) as galleries:
        async with looping(galleries) as told:
            await eventually(lambda: len(told) == 2)
        assert set(galleries) == {gone, there}


async def test_members_of_a_group_share_the_galleries_and_take_over(
    installation: Installation, publish: Callable[..., Any], tmp_path: Path
) -> None:
    ids = galleries_on(*range(PARTITIONS))
    await publish(*(head(one, 1, 0) for one in ids))
    group = f"{installation.name}-shared"
    async with consumer(installation, SQLiteStorage(tmp_path / "one.db"), group_id=group) as one, looping(one):
        await eventually(lambda: set(one) == set(ids))
        async with consumer(installation, SQLiteStorage(tmp_path / "two.db"), group_id=group) as two, looping(two):
            await eventually(lambda: bool(set(two)) and set(one) | set(two) == set(ids) and not set(one) & set(two))
            mine = next(iter(two))
            assert one.get(mine) is None
            await publish(head(mine, 2, 0, "renamed"))
            await eventually(lambda: (two.get(mine) or {}).get("name") == "renamed")
        await eventually(lambda: set(one) == set(ids) and (one.get(mine) or {}).get("name") == "renamed")


async def test_a_partition_waits_until_its_last_batch_is_handled(
    installation: Installation, publish: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "HANDLING_SECONDS", 60.0)
    revoking: list[object] = []
    wait = consuming._Rebalances.on_partitions_revoked

    async def noted(self: Any, revoked: Any) -> None:
        revoking.append(revoked)
        await wait(self, revoked)

    monkeypatch.setattr(consuming._Rebalances, "on_partitions_revoked", noted)
    (gallery_id,) = galleries_on(0)
    await publish(head(gallery_id, 1, 0))
    group = f"{installation.name}-slow"
    async with consumer(installation, group_id=group) as slow:
        await until(slow, lambda _: True)  # and the change is still being handled
        revoking.clear()
        async with consumer(installation, group_id=group) as other, looping(other) as told:
            await eventually(lambda: any(revoking))
            assert told == []
            async with looping(slow):
                await eventually(lambda: slow.is_caught_up and other.is_caught_up)


async def test_new_partitions_are_read_from_their_beginning(
    installation: Installation, publish: Callable[..., Any], producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    bootstrap, topic = installation.addresses.kafka_bootstrap, installation.topics.galleries
    before, after = galleries_on(0, 0)
    await publish(head(before, 1, 0))
    async with (
        consumer(installation, SQLiteStorage(tmp_path / "g.db"), metadata_max_age_ms=200) as galleries,
        looping(galleries) as told,
    ):
        await eventually(lambda: len(told) == 1)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(PARTITIONS + 1)})
        await admin.close()
        async with raw_producer(bootstrap, metadata_max_age_ms=200) as late:
            while PARTITIONS not in await late.partitions_for(topic):
                await asyncio.sleep(0.05)
            key, value = head(after, 1, 0)
            await late.send_and_wait(topic, value, key=key, partition=PARTITIONS)
        await eventually(lambda: [one.gallery_id for one in told] == [before, after])


async def test_a_missing_topic_is_one_error_by_the_deadline(installation: Installation) -> None:
    for group_id in (None, "some"):
        with pytest.raises(KafkaUnavailable, match=r"topic elsewhere\.galleries does not exist"):
            bootstrap = installation.addresses.kafka_bootstrap
            async with GalleryConsumer(bootstrap, topic_prefix="elsewhere.", deadline=1.5, group_id=group_id):
                pytest.fail("there is no such topic")
