"""Runs the services' own code in simulated processes: what it names of drivers and clients is replaced by the models.

The projector is the service's own (`Projector`), and so are the handler of the command service (`make_handler`) and the
rebuild. What is replaced are the makers of clients, under the names by which the services call them. Some limits are
lower, so that few items are enough to reach them.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.support.simulation.kafka import topics
from tests.support.simulation.kafka.broker import Broker
from tests.support.simulation.kafka.members import SubscribingBroker, subscribe
from tests.support.simulation.kafka.offsets import Offsets
from tests.support.simulation.kafka.producer import Producer
from tests.support.simulation.kafka.readers import Reader, tail
from tests.support.simulation.mongo.client import Client
from tests.support.simulation.mongo.server import Server
from triptych.cli.partitions import growing, joined
from triptych.cli.partitions.growing import Growing
from triptych.cli.partitions.joined import JoinedTopic
from triptych.cli.settings import CliSettings
from triptych.command import app as command_app
from triptych.command.app import make_handler
from triptych.command.domain import decide
from triptych.command.flow import former_states, restoration, runner
from triptych.command.flow.independence import are_independent
from triptych.command.store import documents, loader, named, outbox, staging
from triptych.contract.topics import COMMANDS, Topics
from triptych.kit.kafka import groups
from triptych.kit.kafka.consuming import consumer as consumer_module
from triptych.kit.kafka.consuming.consumer import BatchConsumer
from triptych.kit.kafka.consuming.lanes import Lanes
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.mongo import fencing
from triptych.kit.mongo.sharding import indexes_for
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.startup import layout_following
from triptych.kit.startup.claim_watch import watching_claims
from triptych.kit.startup.layout_following import LayoutOfConsumer
from triptych.kit.startup.layout_watch import LayoutWatch, watching_layout
from triptych.kit.startup.layouts import StoredLayout
from triptych.projector import pipeline
from triptych.projector.app import Projector
from triptych.projector.history import running as history
from triptych.projector.ingest import repairs, republication
from triptych.projector.join import audit
from triptych.projector.rebuild import join_copy
from triptych.projector.rebuild import rebuild as rebuild_module
from triptych.projector.rebuild.rebuild import Rebuild
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.queries import indexes as view_indexes
from triptych.readmodel.versions import Versions
from triptych.webhooks.store.provision import INDEXES as LISTENER_INDEXES

PARTITIONS, GROWN_PARTITIONS = 3, 6
PRODUCERS_SECONDS = 0.2
TOPICS = Topics("sim.")
COMMAND_GROUP = groups.command_group(TOPICS.prefix)
BATCH, LANE = 20, 6
"""The most records of a batch, and the smallest batch that is divided into lanes: small, so that both happen often."""
DIRECT_ITEMS, STEP_ITEMS, PARKED_AT_ONCE = 3, 2, 3
"""With `has_jobs`: the most items of a gallery without a job, of a step of a job, and the most parked commands that are
carried out together."""
RETENTION = timedelta(days=30)
SETTINGS = {"topic_prefix": "sim.", "topic_partitions": PARTITIONS, "projector_batch_size": BATCH}
SERVICE_INDEXES = {
    **documents.indexes(RETENTION),
    **outbox.indexes(RETENTION),
    **view_indexes(),
    **fencing.INDEXES,
    **republication.INDEXES,
    **LISTENER_INDEXES,
}


def create_indexes(server: Server) -> None:
    """Create the unique indexes of the collections."""
    database = Client(server).database()
    for name, models in SERVICE_INDEXES.items():
        database[name]._create(server.storage.table(name), indexes_for(list(models), on_cluster=False))


def create_topics(broker: Broker) -> None:
    """Create the topics."""
    for spec in TOPICS.catalogue(PARTITIONS, 1):
        broker.create(spec.name, spec.partitions)


@dataclass(frozen=True)
class Shape:
    """The parts of a run besides command services and projectors.

    Attributes:
        has_jobs: long work even on small galleries, in steps.
        has_history: the history, and restores from it.
        grows: partitions that are added.
    """

    has_jobs: bool = False
    has_history: bool = False
    grows: bool = False


@functools.cache
def projector_settings(shape: Shape) -> ProjectorSettings:
    """The settings of the projector, and of the rebuild."""
    retention = RETENTION if shape.has_history else timedelta(0)
    return ProjectorSettings.model_validate({**SETTINGS, "history_retention": retention})


@functools.cache
def cli_settings() -> CliSettings:
    """The settings of commands of an operator."""
    return CliSettings.model_validate(SETTINGS)


@contextlib.asynccontextmanager
async def layout_watch(database: Any, shape: Shape) -> AsyncIterator[LayoutWatch]:
    """What a process knows about the number of partitions; it looks again and again only if that may change."""
    stored, counts = StoredLayout(database, PARTITIONS), LiveCounts(TOPICS.counts(PARTITIONS), PARTITIONS)
    if shape.grows:
        async with watching_layout(stored, counts) as watch:
            yield watch
    else:
        yield LayoutWatch(stored, counts)


@contextlib.contextmanager
def models_in_place(broker: Broker, shape: Shape) -> Iterator[None]:
    """Let the services find the models under the names of the real clients."""

    @contextlib.asynccontextmanager
    async def no_lag(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(problem=None, detail=None)

    @contextlib.asynccontextmanager
    async def no_changes(*_: object) -> AsyncIterator[None]:
        yield

    async def no_indexes(*_: object) -> None:
        """They were created before."""

    async def started(reader: Reader, _: object) -> None:
        await reader.start()

    def group_offsets(_: object, name: str, group: str) -> Offsets:
        return Offsets(broker, name, group)

    def make_reader(*_: object, **__: object) -> Reader:
        return Reader(broker)

    replaced: list[tuple[Any, str, Any]] = [
        (consumer_module, "subscribe", subscribe),
        *((owner, "make_broker", lambda *_: SubscribingBroker(broker)) for owner in (pipeline, history)),
        *((owner, "make_producer", lambda _: Producer(broker)) for owner in (pipeline, history, growing)),
        *((owner, "watching_lag", no_lag) for owner in (pipeline, history)),
        (pipeline, "GroupOffsets", group_offsets),
        (layout_following, "describe_topics", lambda _, names: topics.describe(broker, names)),
        *((owner, "ensure_indexes", no_indexes) for owner in (pipeline, history, rebuild_module)),
        (pipeline, "LANES", Lanes(2, from_records=LANE)),
        (audit, "TopicOffsets", lambda _, name: Offsets(broker, name)),
        (audit, "make_reader", make_reader),
        (join_copy, "make_reader", make_reader),
        (join_copy, "start_client", started),
        (rebuild_module, "GroupOffsets", group_offsets),
        *((owner, "changing_topics", lambda _: topics.changing(broker)) for owner in (growing, joined)),
        *((owner, "TopicOffsets", lambda _, name: Offsets(broker, name)) for owner in (growing, joined)),
        (repairs, "tail", lambda _, topics: tail(broker, topics)),
        (command_app, "LANES", Lanes(3, from_records=LANE, may_split=are_independent)),
        (SUPERVISOR, "_loops", set()),  # killed processes leave theirs behind
    ]
    if not shape.grows:
        replaced += [(owner, "following_layout", no_changes) for owner in (pipeline, history, layout_following)]
    if shape.has_jobs:
        replaced += [(owner, "DIRECT_ITEMS", DIRECT_ITEMS) for owner in (decide, loader, named)]
        replaced += [(owner, "STEP_ITEMS", STEP_ITEMS) for owner in (runner, restoration, former_states, staging)]
        replaced.append((runner, "PARKED_AT_ONCE", PARKED_AT_ONCE))
    with contextlib.ExitStack() as patches:
        for owner, name, value in replaced:
            patches.enter_context(mock.patch.object(owner, name, value))
        yield


async def run_command(server: Server, broker: Broker, shape: Shape) -> None:
    """The command service, until cancelled."""
    database: Any = Client(server).database()
    async with layout_watch(database, shape) as watch:
        counts = LiveCounts(TOPICS.counts(PARTITIONS), watch.layout.partitions)
        layout = LayoutOfConsumer(watch, counts, TOPICS.commands, COMMANDS, lambda: consumer.reader, holds_new=False)
        publisher = Publisher(lambda: Producer(broker), partitions=counts)
        foreign = Publisher(lambda: Producer(broker), 2.0, counts)
        letters = DeadLetterPublisher(publisher, TOPICS.dead_letter)
        handler = make_handler(database, publisher, foreign, letters, TOPICS, COMMAND_GROUP, layout=layout)
        subscribing: Any = SubscribingBroker(broker)
        consumer = BatchConsumer(
            subscribing,
            TOPICS.commands,
            COMMAND_GROUP,
            handler,
            letters,
            max_records=BATCH,
            lanes=command_app.LANES,
            gate=layout,
        )
        try:
            await publisher.start()
            await subscribing.start()
            async with (
                layout_following.following_layout(consumer, layout),
                watching_claims(consumer, handler.ownership),
            ):
                await asyncio.get_running_loop().create_future()
        finally:
            await consumer.give_up()
            await subscribing.stop()
            await handler.released()
            await publisher.stop()
            await foreign.stop()


async def run_projector(server: Server, broker: Broker, shape: Shape) -> None:
    """The projector, until cancelled."""
    del broker  # it is found by `models_in_place`
    database: Any = Client(server).database()
    settings = projector_settings(shape)
    nobody_before: Any = SimpleNamespace(holdings=lambda _: None)
    no_health: Any = SimpleNamespace(add_detail=lambda *_: None)
    async with layout_watch(database, shape) as watch:
        projector = Projector(settings, database, nobody_before, watch)
        async with SUPERVISOR.running("projection", projector.run, may_end=lambda: projector.has_not_started):
            await projector.started
            async with history.archiving(settings, database, watch, nobody_before, no_health):
                await asyncio.get_running_loop().create_future()


async def run_rebuild(server: Server, _: Broker) -> None:
    """`triptych rebuild`, to its end. Raises what `Rebuild.run` raises."""
    database: Any = Client(server).database()
    await Rebuild(projector_settings(Shape()), database, Silence()).run()


async def run_growth(server: Server, _: Broker) -> None:
    """`triptych partitions grow` and then `trim`, to their end. Raises what they raise."""
    database: Any = Client(server).database()
    settings = cli_settings()
    await Growing(settings, database, GROWN_PARTITIONS, Silence()).run(PRODUCERS_SECONDS)
    topic = JoinedTopic(settings, database, Silence())
    await topic.publish_again(settings.projector_group(await Versions(database).active()))
    await topic.trim(timedelta(0))


class Silence:
    """A `ProgressReporter` that reports to nobody."""

    def report(self, phase: str, done: int, total: int) -> None:
        """Do nothing."""
