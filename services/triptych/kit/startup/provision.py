"""Creates topics and indexes, idempotently; nothing else in the product creates either."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.kafka.errors import ANSWER_SECONDS, start_failure
from triptych.kit.mongo.codes import BUILDING_CODES, INDEX_OPTIONS_CONFLICT, NAMESPACE_EXISTS
from triptych.kit.mongo.driver import (
    Database,
    IndexModel,
    OperationFailure,
    PyMongoError,
    building_indexes,
    is_transient,
)
from triptych.kit.own_command import as_typed
from triptych.kit.process.settings import KitSettings

LEADERS_TIMEOUT_SECONDS = 20.0
LEADERS_POLL_SECONDS = 0.02
RACE_ATTEMPTS = 8
RACE_PAUSE_SECONDS = 0.2


class Topic(Protocol):
    """What provisioning has to know of a topic."""

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

    Returns the names of those created. Existing ones are left as they are.

    Raises:
        NotYetAvailable: no broker answers, or a partition stays without leader.
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
        answer = await admin.create_topics(wanted)
        created = []
        for name, code, *message in answer.topic_errors:
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
        NotYetAvailable: no broker answers; or some are missing, which are named, with how to create them.
    """
    async with _admin(settings) as admin, asyncio.timeout(ANSWER_SECONDS):
        missing = sorted(set(names) - set(await admin.list_topics()))
    if missing:
        raise NotYetAvailable(f"Kafka lacks the topics {', '.join(missing)}. Run: {as_typed('provision')}")


@asynccontextmanager
async def _admin(settings: KitSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, client_id="triptych")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
        yield admin
    except (KafkaError, TimeoutError) as error:
        raise start_failure(settings, error) from None
    finally:
        await admin.close()


async def _await_leaders(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """A topic is created before all brokers know it; whoever used it in between would be told that it is missing."""
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
    return topic["error_code"] == 0 and bool(partitions) and all(part["leader"] >= 0 for part in partitions)


async def ensure_indexes(database: Database, indexes: Mapping[str, Sequence[IndexModel]]) -> None:
    """Create collections and their indexes, and give documents that expire the lifetime that is wanted now.

    Any number of processes may do so at the same moment.

    Raises:
        NotYetAvailable: the server went away, or another process builds indexes for long.
        StartRefused: it refuses an index, for instance because one of that name is defined otherwise.
    """
    for name, models in indexes.items():
        for attempt in range(1, RACE_ATTEMPTS + 1):
            try:
                await _ensure(database, name, models)
                break
            except PyMongoError as error:
                if attempt < RACE_ATTEMPTS and _is_race(error):
                    await asyncio.sleep(RACE_PAUSE_SECONDS * attempt * random.random())  # noqa: S311 - no secret
                elif is_transient(error):
                    raise NotYetAvailable(f"MongoDB went away (TRIPTYCH_MONGO_URI): {error}") from None
                elif isinstance(error, OperationFailure) and error.code in BUILDING_CODES:
                    raise NotYetAvailable(f"Indexes of {name} are being built by another process: {error}") from None
                else:
                    raise StartRefused(f"MongoDB refuses the indexes of {name}: {error}") from None


async def _ensure(database: Database, name: str, models: Sequence[IndexModel]) -> None:
    if models:
        await _adjust_lifetimes(database, name, models)
        with building_indexes():
            await database[name].create_indexes(list(models))
    elif name not in await database.list_collection_names():
        try:
            # Without the driver's own look at whether it is there: that look has an error of its own.
            await database.create_collection(name, check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:  # otherwise another process was faster
                raise


def _is_race(error: PyMongoError) -> bool:
    """Whether another process that creates the same may be the cause. A lasting conflict ends with the attempts."""
    return isinstance(error, OperationFailure) and error.code in {*BUILDING_CODES, INDEX_OPTIONS_CONFLICT}


async def _adjust_lifetimes(database: Database, collection: str, models: Sequence[IndexModel]) -> None:
    """A lifetime is a setting: creating the index again with another one would be refused."""
    existing = await database[collection].index_information()
    for index in (model.document for model in models):
        there = existing.get(index["name"], {})
        wanted = index.get("expireAfterSeconds")
        if wanted is not None and there.get("expireAfterSeconds", wanted) != wanted:
            change = {"keyPattern": index["key"], "expireAfterSeconds": wanted}
            await database.command("collMod", collection, index=change)
