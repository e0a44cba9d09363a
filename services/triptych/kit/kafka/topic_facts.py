"""Reads from Kafka whether topics exist, their ids, and their numbers of partitions.

The id of a topic changes when the topic is deleted and created again. aiokafka's own metadata requests are too old to
return ids: https://kafka.apache.org/protocol#The_Messages_Metadata.
"""

import uuid
from collections.abc import Iterable
from io import BytesIO
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)


class TopicFacts(NamedTuple):
    """A topic that exists: its id and how many partitions it has."""

    topic_id: uuid.UUID
    partitions: int


class _Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline", CompactArray(Int32)),
    ("tags", TaggedFields),
)
_TOPIC = (
    ("error_code", Int16),
    ("name", CompactString("utf-8")),
    ("topic_id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("operations", Int32),
    ("tags", TaggedFields),
)
_BROKER = (
    ("node_id", Int32),
    ("host", CompactString("utf-8")),
    ("port", Int32),
    ("rack", CompactString("utf-8")),
    ("tags", TaggedFields),
)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        ("topics", CompactArray(*_TOPIC)),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("may_create", Boolean),
        ("with_operations", Boolean),
        ("tags", TaggedFields),
    )


class _VersionedMetadataRequest(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class([(uuid.UUID(int=0), name, {}) for name in self._names], False, False, {})


async def describe_topics(
    client: AIOKafkaClient, names: Iterable[str], group: ConnectionGroup = ConnectionGroup.DEFAULT
) -> dict[str, TopicFacts | None]:
    """The facts of these topics, by name; None for a topic that does not exist.

    Each `group` has connections of its own: on that of a consumer's fetches, a question waits until a fetch has ended.

    Raises:
        KafkaError: no broker answers, or the broker reports an error.
    """
    node = client.get_random_node()
    if node is None:
        raise KafkaError("no broker is known")
    response = await client.send(node, _VersionedMetadataRequest(names), group=group)
    found: dict[str, TopicFacts | None] = {}
    for code, name, topic_id, _, partitions, *_ in response.topics:
        error = for_code(code)
        if error is UnknownTopicOrPartitionError:
            found[name] = None
        elif code != 0:
            raise error(name)
        else:
            found[name] = TopicFacts(topic_id, len(partitions))
    return found
