"""Changes existing topics: adds partitions, changes their configuration, and deletes records before an offset."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, PolicyViolationError, for_code

from triptych.kit.kafka.errors import KafkaAway, no_answer
from triptych.kit.kafka.security import connection_options
from triptych.kit.process.settings import KitSettings

ANSWER_SECONDS = 30.0
IN_FORCE_SECONDS = 20.0
"""How long a changed configuration may take until brokers act by it."""
_PAUSE_SECONDS = 0.2
_OF_TOPIC = 1
"""The source of a configuration that was set for the topic itself."""


class TopicChanges:
    """Changes topics; made by `changing_topics`. Every method raises TransientFailure if Kafka refuses or is away."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin

    async def add_partitions(self, counts: Mapping[str, int]) -> None:
        """Give these topics these numbers of partitions, by name, and wait until each partition has a leader."""
        async with _answered():
            if counts:
                await self._admin.create_partitions({name: NewPartitions(count) for name, count in counts.items()})
            while not all(map(_is_led, await self._admin.describe_topics(list(counts)))):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def configure(self, topic: str, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """Set values of a topic's own configuration, or remove them; the former values of the same names."""
        async with _answered():
            (response,) = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            ((code, message, _, _, entries),) = response.resources
            if code:
                raise for_code(code)(message)
            own = {name: value for name, value, _, source, *_ in entries if source == _OF_TOPIC}
            wanted = {name: value for name, value in {**own, **changes}.items() if value is not None}
            (answer,) = await self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
            ((code, message, *_),) = answer.resources
            if code:
                raise for_code(code)(message)
            return {name: own.get(name) for name in changes}

    async def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete the records before these offsets, by partition. The topic's policy has to include `delete`."""
        records = {TopicPartition(topic, number): RecordsToDelete(offset) for number, offset in offsets.items()}
        async with _answered(), asyncio.timeout(IN_FORCE_SECONDS):
            while True:
                try:
                    await self._admin.delete_records(records)
                    return
                except PolicyViolationError:  # the policy that was set before is not in force yet
                    await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def changing_topics(settings: KitSettings) -> AsyncIterator[TopicChanges]:
    """Connect, and give the means to change topics. Raises TransientFailure."""
    admin = AIOKafkaAdminClient(**connection_options(settings), client_id="triptych")
    try:
        async with _answered():
            await admin.start()
        yield TopicChanges(admin)
    finally:
        await admin.close()


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError as error:
        raise no_answer(error) from error
    except KafkaError as error:
        raise KafkaAway(f"Kafka refuses to change topics: {error!r}") from error


def _is_led(topic: Mapping[str, object]) -> bool:
    partitions = topic["partitions"]
    assert isinstance(partitions, list)  # noqa: S101 - of aiokafka's response
    return topic["error_code"] == 0 and all(partition["leader"] >= 0 for partition in partitions)
