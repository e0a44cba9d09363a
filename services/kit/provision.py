"""Creates topics and indexes, idempotently; nothing else in the product creates either."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from services.kit.failures import StartRefused
from services.kit.mongo import Database, IndexModel, PyMongoError
from services.kit.settings import KitSettings

log = logging.getLogger(__name__)


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
    """Create the topics that are missing; the names of those created. Existing ones are left as they are.

    Raises:
        StartRefused: no broker answers, or it refuses one of the topics.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, client_id="triptych")
    wanted = [
        NewTopic(
            name=topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication,
            topic_configs=dict(topic.config),
        )
        for topic in topics
    ]
    try:
        await admin.start()
        answer = await admin.create_topics(wanted)
    except KafkaConnectionError:
        raise StartRefused(f"Kafka does not answer at {settings.kafka_bootstrap} (TRIPTYCH_KAFKA_BOOTSTRAP).") from None
    finally:
        await admin.close()
    created = []
    for name, code, *message in answer.topic_errors:
        error: type[KafkaError] = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:
            raise StartRefused(f"Kafka refuses to create topic {name}: {error.__name__} {' '.join(map(str, message))}")
    return created


async def require_topics(settings: KitSettings, names: Iterable[str]) -> None:
    """Refuse to start without the topics.

    Raises:
        StartRefused: naming the missing ones and how to create them.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, client_id="triptych")
    try:
        await admin.start()
        present = set(await admin.list_topics())
    except KafkaConnectionError:
        raise StartRefused(f"Kafka does not answer at {settings.kafka_bootstrap} (TRIPTYCH_KAFKA_BOOTSTRAP).") from None
    finally:
        await admin.close()
    missing = sorted(set(names) - present)
    if missing:
        raise StartRefused(f"Kafka lacks the topics {', '.join(missing)}. Run: triptych provision")


async def ensure_indexes(database: Database, indexes: Mapping[str, Sequence[IndexModel]]) -> None:
    """Create collections and their indexes; those that exist are left as they are.

    Raises:
        StartRefused: the server refuses an index, for instance because one of that name is defined otherwise.
    """
    for name, models in indexes.items():
        try:
            if models:
                await database[name].create_indexes(list(models))
            elif name not in await database.list_collection_names():
                await database.create_collection(name)
        except PyMongoError as error:
            raise StartRefused(f"MongoDB refuses the indexes of {name}: {error}") from None
