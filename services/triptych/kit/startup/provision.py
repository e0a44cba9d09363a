"""Creates topics, collections and indexes, idempotently. No other module of the product creates any of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from triptych.kit.backoff import Backoff
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.kafka.consuming.topic_watch import finding_topics
from triptych.kit.kafka.errors import ANSWER_SECONDS
from triptych.kit.kafka.refusals import start_failure, starting
from triptych.kit.kafka.security import connection_options
from triptych.kit.mongo.codes import BUILDING_CODES, INDEX_OPTIONS_CONFLICT, NAMESPACE_EXISTS
from triptych.kit.mongo.driver import (
    Database,
    IndexModel,
    OperationFailure,
    PyMongoError,
    building_indexes,
    is_transient,
)
from triptych.kit.mongo.routers import has_shards
from triptych.kit.mongo.sharding import ensure_divided, indexes_for
from triptych.kit.process.settings import KitSettings

LEADERS_TIMEOUT_SECONDS = 20.0
LEADERS_POLL_SECONDS = 0.02
RACE_ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0


class Topic(Protocol):
    """The properties of a topic that provisioning needs."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int: ...
    @property
    def replication(self) -> int: ...
    @property
    def config(self) -> Mapping[str, str]: ...


async def ensure_topics(settings: KitSettings, topics: Iterable[Topic]) -> list[str]:
    """Create the topics that are missing, and wait until every partition has a leader.

    Returns the names of the created topics. Existing topics are not changed.

    Raises:
        NotYetAvailable: no broker answers, or a partition stays without a leader.
        StartRefused: Kafka refuses one of the topics.
    """
    wanted = [
        NewTopic(
            name=topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication,
            topic_configs=dict(topic.config),
        )
        for topic in topics
    ]
    async with _admin(settings) as admin:
        response = await admin.create_topics(wanted)
        created = []
        for name, code, *message in response.topic_errors:
            error: type[KafkaError] = for_code(code)
            if code == 0:
                created.append(name)
            elif error is not TopicAlreadyExistsError:
                words = " ".join(map(str, message))
                raise StartRefused(f"Kafka refuses to create topic {name}: {error.__name__} {words}")
        await _await_leaders(admin, [topic.name for topic in wanted])
    return created


async def require_topics(settings: KitSettings, names: Iterable[str]) -> None:
    """Make sure that the topics exist.

    Raises:
        NotYetAvailable, StartRefused: see `finding_topics`.
    """
    async with finding_topics(settings, names):
        pass


@asynccontextmanager
async def _admin(settings: KitSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection_options(settings), client_id="triptych")
    try:
        async with starting(settings, ANSWER_SECONDS):
            await admin.start()
        yield admin
    except (KafkaError, TimeoutError) as error:
        raise await start_failure(settings, error) from None
    finally:
        await admin.close()


async def _await_leaders(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Wait for a leader of every partition. Until then, some brokers report a new topic as missing."""
    try:
        async with asyncio.timeout(LEADERS_TIMEOUT_SECONDS):
            while not all(_is_led(topic) for topic in await admin.describe_topics(list(names))):
                await asyncio.sleep(LEADERS_POLL_SECONDS)
    except TimeoutError:
        raise NotYetAvailable(
            f"Some partition of {', '.join(names)} has no leader after {LEADERS_TIMEOUT_SECONDS:g} s."
        ) from None


def _is_led(topic: Mapping[str, Any]) -> bool:
    partitions = topic["partitions"]
    return topic["error_code"] == 0 and bool(partitions) and all(partition["leader"] >= 0 for partition in partitions)


async def ensure_indexes(database: Database, indexes: Mapping[str, Sequence[IndexModel]]) -> None:
    """Create collections and their indexes, and adjust the lifetimes of expiring documents to the wanted ones.

    On a sharded cluster, also divide the collections by the shard keys that are declared among the indexes. Any number
    of processes may do this at the same time.

    Raises:
        NotYetAvailable: the server went away, or another process takes long to build indexes.
        StartRefused: the server refuses an index, for instance because that name has another definition; or a
            collection is divided by another shard key.
    """
    for name, models in indexes.items():
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        for attempt in range(1, RACE_ATTEMPTS + 1):
            try:
                await _ensure(database, name, models)
                break
            except PyMongoError as error:
                if attempt < RACE_ATTEMPTS and _is_race(error):
                    await backoff.pause()
                elif is_transient(error):
                    raise NotYetAvailable(f"MongoDB went away (TRIPTYCH_MONGO_URI): {error}") from None
                elif isinstance(error, OperationFailure) and error.code in BUILDING_CODES:
                    raise NotYetAvailable(f"Indexes of {name} are being built by another process: {error}") from None
                else:
                    raise StartRefused(f"MongoDB refuses the indexes of {name}: {error}") from None


async def _ensure(database: Database, name: str, models: Sequence[IndexModel]) -> None:
    await ensure_divided(database, name, models)
    declared, models = models, indexes_for(models, on_cluster=has_shards(database))
    if declared and not models:
        return  # it has a shard key and no index: only a cluster needs it
    if models:
        await _adjust_lifetimes(database, name, models)
        with building_indexes():
            await database[name].create_indexes(list(models))
    elif name not in await database.list_collection_names():
        try:
            # Without the driver's own check whether the collection exists: the check has an error of its own.
            await database.create_collection(name, check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:  # another process has just created it
                raise


def _is_race(error: PyMongoError) -> bool:
    """Whether another process that creates the same may be the cause. The attempts end if the conflict lasts."""
    return isinstance(error, OperationFailure) and error.code in {*BUILDING_CODES, INDEX_OPTIONS_CONFLICT}


async def _adjust_lifetimes(database: Database, collection: str, models: Sequence[IndexModel]) -> None:
    """Change the lifetime of existing indexes. MongoDB would refuse to create the index again with another lifetime."""
    limited = [model.document for model in models if model.document.get("expireAfterSeconds") is not None]
    existing = await database[collection].index_information() if limited else {}
    for index in limited:
        present = existing.get(index["name"], {})
        wanted = index["expireAfterSeconds"]
        if present.get("expireAfterSeconds", wanted) != wanted:
            change = {"keyPattern": index["key"], "expireAfterSeconds": wanted}
            await database.command("collMod", collection, index=change)
