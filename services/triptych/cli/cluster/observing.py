"""Asks the parts of a local cluster for their state. A part that is away delays no answer for longer than 3 s."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import httpx
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from triptych.cli.cluster.state import ClusterState
from triptych.cli.settings import CliSettings
from triptych.command.store.overview import Overview
from triptych.contract.topics import Topics
from triptych.devstack.cluster import Cluster
from triptych.devstack.parts import Part
from triptych.devstack.ports import LOOPBACK
from triptych.history.retention import read_retention
from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.reading.offsets import GroupOffsets
from triptych.kit.kafka.security import connection_options
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.opening import open_settings_database
from triptych.readmodel.versions import Versions

ANSWER_SECONDS = 2.5
METADATA_MAX_AGE_MS = 1_000
T = TypeVar("T")


class Observer:
    """Connections to the parts of one cluster, which are kept between two questions."""

    def __init__(
        self,
        settings: CliSettings,
        cluster: Cluster,
        services: Mapping[str, Sequence[Part]],
        database: Database,
        admin: AIOKafkaAdminClient,
        http: httpx.AsyncClient,
    ) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._cluster = cluster
        self._services = services
        self._database = database
        self._admin = admin
        self._http = http
        self._groups: dict[str, GroupOffsets] = {}

    async def observe(self) -> ClusterState:
        """The state now."""
        brokers, states, ready, lag, outbox = await asyncio.gather(
            _known(self._brokers),
            asyncio.to_thread(self._cluster.replica_set.states),
            asyncio.gather(*(self._count_ready(parts) for parts in self._services.values())),
            _known(self._lag),
            _known(self._outbox),
        )
        nodes_up, short_partitions = brokers or (None, None)
        return ClusterState(
            nodes=len(self._cluster.nodes),
            nodes_up=nodes_up,
            short_partitions=short_partitions,
            members=dict(zip((part.name for part in self._cluster.members), states, strict=True)),
            services={
                name: (count, len(parts)) for (name, parts), count in zip(self._services.items(), ready, strict=True)
            },
            lag=lag,
            outbox=outbox,
        )

    async def close(self) -> None:
        """Close the connections that were opened for questions."""
        await asyncio.gather(*(offsets.stop() for offsets in self._groups.values()))

    async def _brokers(self) -> tuple[int, int]:
        """How many brokers there are, and how many partitions lack a replica."""
        for _ in self._cluster.nodes:
            try:
                described = await self._admin.describe_cluster()
                topics = await self._admin.describe_topics()
            except KafkaError as error:
                failure = error  # the broker that was asked, one chosen at random, is dead
                continue
            partitions = [partition for topic in topics for partition in topic["partitions"]]
            short = sum(len(partition["isr"]) < len(partition["replicas"]) for partition in partitions)
            return len(described["brokers"]), short
        raise failure

    async def _count_ready(self, parts: Sequence[Part]) -> int:
        return sum(await asyncio.gather(*map(self._is_ready, parts)))

    async def _is_ready(self, part: Part) -> bool:
        try:
            answer = await self._http.get(f"http://{LOOPBACK}:{part.port}/health/ready")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    async def _lag(self) -> int:
        version = await Versions(self._database).active()
        groups = {
            self._settings.command_group: self._topics.commands,
            self._settings.projector_group(version): self._topics.events,
            self._settings.webhooks_group: self._topics.events,
        }
        if await read_retention(self._database) is not None:
            groups[self._settings.history_group] = self._topics.events
        return sum(await asyncio.gather(*(self._lag_of(group, topic) for group, topic in groups.items())))

    async def _lag_of(self, group: str, topic: str) -> int:
        offsets = self._groups.setdefault(group, GroupOffsets(self._settings, topic, group))
        ends, committed = await asyncio.gather(offsets.all_ends(), offsets.committed())
        return sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items())

    async def _outbox(self) -> int:
        return (await Overview(self._database).outbox()).rows


@asynccontextmanager
async def observing(
    settings: CliSettings, cluster: Cluster, services: Mapping[str, Sequence[Part]]
) -> AsyncIterator[Observer]:
    """An observer of the cluster that these settings name; `services` has the processes of each service by its name.

    Raises:
        StartRefused, NotYetAvailable: MongoDB does not answer.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_settings_database(settings))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False))
        admin = AIOKafkaAdminClient(
            **connection_options(settings), client_id="triptych", metadata_max_age_ms=METADATA_MAX_AGE_MS
        )
        stack.push_async_callback(admin.close)
        await admin.start()
        observer = Observer(settings, cluster, services, database, admin, http)
        stack.push_async_callback(observer.close)
        yield observer


async def _known(ask: Callable[[], Awaitable[T]]) -> T | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask()
    except TimeoutError:
        return None
    except Exception as error:
        if fault_of(error) is Fault.OURS:
            raise
        return None
