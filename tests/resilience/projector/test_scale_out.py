"""Several projectors share the partitions, start and stop under load, and leave views and join right."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.projection.plans import Plan
from tests.support.projection.world import check_join, check_views
from tests.support.waiting import eventually
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import open_database
from triptych.kit.mongo.fencing import all_documents
from triptych.kit.startup.provision import ensure_topics
from triptych.projector.app import compose
from triptych.projector.settings import ProjectorSettings
from triptych.projector.view.mapping import item_view_of, view_of
from triptych.readmodel.queries import Views

PARTITIONS = 12
GALLERIES = 40


@pytest.fixture
async def wide(stack: Addresses) -> AsyncIterator[Installation]:
    """An installation with twelve partitions."""
    name = f"t{uuid.uuid4().hex[:10]}"
    async with open_database(stack.mongo_uri, name) as database:
        made = Installation(stack, name, database)
        topics = made.topics
        wanted = {topics.events, topics.galleries, topics.dead_letter(topics.events), topics.commands}
        specs = [spec for spec in topics.catalogue(PARTITIONS, 1) if spec.name in wanted]
        await ensure_topics(made.settings(ProjectorSettings), specs)
        try:
            yield made
        finally:
            await database.client.drop_database(name)
            admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
            await admin.start()
            await admin.delete_topics([spec.name for spec in specs])
            await admin.close()


def projector(wide: Installation) -> AbstractAsyncContextManager[object]:
    return compose(wide.settings(ProjectorSettings, topic_partitions=PARTITIONS))


async def test_the_partitions_are_split(wide: Installation) -> None:
    async with AsyncExitStack() as running:
        started = 0
        for count in (1, 2, 4):
            while started < count:
                await running.enter_async_context(projector(wide))
                started += 1

            async def is_split(count: int = count) -> bool:
                owners = await wide.database["gallery_views"].find({"_id.partition": {"$exists": True}}).to_list(None)
                partitions = Counter(owner["token"] for owner in owners)
                return sorted(partitions.values()) == [PARTITIONS // count] * count

            await eventually(is_split, f"{count} equal shares")


@pytest.mark.timeout(180)
async def test_projectors_come_and_go_under_load(wide: Installation) -> None:
    histories = [History(site_id="s").create() for _ in range(GALLERIES)]
    sent = dict.fromkeys((history.gallery_id for history in histories), 0)
    stop = asyncio.Event()

    async def write() -> None:
        step = 0
        async with raw_producer(wide.addresses.kafka_bootstrap) as producer:
            while not stop.is_set():
                history = histories[step % GALLERIES]
                step += 1
                match step % 7, [*history.items]:
                    case 0, [item_id, *_]:
                        history.delete_item(item_id)
                    case 1 | 2, [*_, item_id]:
                        history.update_item(item_id, title=str(step))
                    case _:
                        history.add_item(step)
                for message in history.messages[sent[history.gallery_id] :]:
                    await producer.send(wide.topics.events, message.value, message.key, headers=list(message.headers))
                sent[history.gallery_id] = len(history.wire)
                await asyncio.sleep(0.005)
            await producer.flush()

    writing = asyncio.create_task(write())
    async with AsyncExitStack() as last:
        leaving: list[AsyncExitStack] = []
        for change in ("come", "come", "go", "come", "come", "go", "come"):
            if change == "come":
                running = AsyncExitStack()
                await running.enter_async_context(projector(wide))
                leaving.append(running)
            else:
                await leaving.pop(0).aclose()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1)  # the load continues meanwhile
        for running in leaving:
            last.push_async_callback(running.aclose)
        stop.set()
        await writing

        async def is_done() -> bool:
            views = Views(wide.database)
            return all([await views.sequence_of("s", h.gallery_id) == len(h.wire) for h in histories])

        await eventually(is_done, "all events in the views", deadline_seconds=60)
        plan = Plan(histories, [], [])
        views = [view_of(found) async for found in all_documents(wide.database["gallery_views"])]
        items = [item_view_of(found) async for found in wide.database["item_views"].find({})]
        check_views(plan, ({view.gallery_id: view for view in views}, {item.item_id: item for item in items}))

        async with topic_reader(wide.addresses.kafka_bootstrap, wide.topics.galleries) as reader:

            async def is_joined() -> bool:
                with contextlib.suppress(AssertionError):
                    await reader.read_until(lambda _: False, "more", deadline_seconds=1.0)
                try:
                    check_join(plan, [(record.key, record.value) for record in reader.records])
                except AssertionError:
                    return False
                return True

            await eventually(is_joined, "the join as the histories are", deadline_seconds=30)
