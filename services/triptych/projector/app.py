"""Composition root of the projector."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from triptych.contract.topics import Topics
from triptych.kit.backoff import Backoff
from triptych.kit.failures import Fault, StartRefused, fault_of
from triptych.kit.kafka.consuming.topic_watch import finding_topics, watching_topics
from triptych.kit.kafka.layout import LiveCounts
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo import fencing
from triptych.kit.mongo.driver import Database, PyMongoError
from triptych.kit.mongo.opening import answering, open_settings_database
from triptych.kit.mongo.transactions import wait_for_majority
from triptych.kit.process.dependencies import DEPENDENCIES
from triptych.kit.process.health import Health
from triptych.kit.process.supervision import SUPERVISOR, progress
from triptych.kit.startup.layout_watch import LayoutWatch, watching_layout
from triptych.kit.startup.layouts import StoredLayout
from triptych.kit.startup.provision import ensure_indexes
from triptych.kit.upgrading.presence import Presence, present
from triptych.projector.history.running import archiving
from triptych.projector.ingest import republication
from triptych.projector.pipeline import Projection, running_projection
from triptych.projector.provision import indexes as indexes
from triptych.projector.settings import ProjectorSettings
from triptych.readmodel.versions import Versions

log = get_logger(__name__)

# The interval between checks for a new active version of the views.
POLL_SECONDS = 0.5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 2.0


@asynccontextmanager
async def compose(settings: ProjectorSettings) -> AsyncIterator[Starlette]:
    """Run the projector until the block ends; the application that it yields serves health and metrics.

    Raises:
        StartRefused, TransientFailure: MongoDB or Kafka cannot be used as they are.
    """
    topics = Topics(settings.topic_prefix)
    needed = [topics.events, topics.galleries, topics.dead_letter(topics.events)]
    async with (
        finding_topics(settings, needed) as topic_client,
        open_settings_database(settings) as database,
        present(database, "projector", instance_id=settings.instance_id) as presence,
        watching_layout(
            StoredLayout(database, settings.topic_partitions),
            LiveCounts(topics.counts(settings.topic_partitions), settings.topic_partitions),
        ) as layout_watch,
        watching_topics(settings, topic_client, layout_watch.counts, layout_watch.allowed) as topic_watch,
    ):
        await ensure_indexes(database, {**fencing.INDEXES, **republication.INDEXES})
        projector = Projector(settings, database, presence, layout_watch)
        health = Health()
        health.add("events", projector.problem)
        health.add("mongodb", answering(database))

        async def check_topics() -> str | None:
            return topic_watch.problem

        health.add("topics", check_topics)
        health.add("kafka", projector.kafka_problem)
        health.add_detail("events", projector.detail)
        health.add_detail("completeness", projector.incompleteness)
        dependencies = DEPENDENCIES.on(lambda: wait_for_majority(database), projector.kafka_problem)
        with dependencies:
            async with SUPERVISOR.running("projection", projector.run, may_end=lambda: projector.has_not_started):
                await projector.started
                async with archiving(settings, database, layout_watch, presence, health):
                    yield Starlette(routes=health.routes())


class Projector:
    """Projects into the active version of the views, and switches to the next version once that becomes active."""

    def __init__(
        self, settings: ProjectorSettings, database: Database, presence: Presence, layout_watch: LayoutWatch
    ) -> None:
        self._settings = settings
        self._database = database
        self._presence = presence
        self._layout_watch = layout_watch
        self._versions = Versions(database)
        self._projection: Projection | None = None
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the projection runs for the first time. Raises StartRefused or TransientFailure if it cannot."""

    @property
    def has_not_started(self) -> bool:
        """Whether the first start has failed."""
        return self.started.done() and self.started.exception() is not None

    async def run(self) -> None:
        """Project, until cancelled. Ends if the first start fails; later failures are logged, and it starts again."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            progress()
            try:
                version = await self._versions.active()
                async with running_projection(
                    self._settings, self._database, version, self._layout_watch, self._presence, is_active=True
                ) as projection:
                    self._projection = projection
                    backoff.reset()
                    if not self.started.done():
                        self.started.set_result(None)
                    await self._wait_until_replaced(version)
                    log.info(
                        "a version of the views is no longer active, and the new one is projected into", version=version
                    )
            except Exception as error:
                if not self.started.done():
                    self.started.set_exception(error)
                    return
                if fault_of(error) is Fault.OURS and not isinstance(error, StartRefused):
                    raise
                log.exception("the projection failed, and is tried again")
                await backoff.pause()
            finally:
                self._projection = None

    async def problem(self) -> str | None:
        """Why the projector does not project, or None."""
        return self._projection.lag_watch.problem if self._projection else "not projecting"

    async def detail(self) -> str | None:
        """Which partitions wait for an open transaction of a producer, or None."""
        return self._projection.lag_watch.detail if self._projection else None

    async def kafka_problem(self) -> str | None:
        """Why Kafka cannot be used, or None."""
        return await self._projection.publisher.problem() if self._projection else None

    async def incompleteness(self) -> str | None:
        """The number of galleries that wait for missing events, in words; None if no gallery waits."""
        count = await self._projection.repository.count_incomplete() if self._projection else 0
        return f"galleries that wait for events that did not come: {count}" if count else None

    async def _wait_until_replaced(self, version: int) -> None:
        while True:
            progress()
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(PyMongoError):
                if await self._versions.active() != version:
                    return
