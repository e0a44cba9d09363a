"""Names the attributes of messaging spans, by the semantic conventions of OpenTelemetry for messaging and Kafka."""

SYSTEM, KAFKA = "messaging.system", "kafka"
DESTINATION = "messaging.destination.name"
BATCH_COUNT = "messaging.batch.message_count"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
TEXT_MAX = 255
"""Characters of a text from outside."""


def operation_attributes(name: str, kind: str, topic: str) -> dict[str, str | int]:
    """The attributes of a span of operation `name`, whose type in the conventions is `kind`."""
    return {
        SYSTEM: KAFKA,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        DESTINATION: topic,
    }


def message_attributes(
    message_id: str | None, conversation_id: str | None, partition: int | None = None, offset: int | None = None
) -> dict[str, str | int]:
    """The attributes of one record: its CloudEvents id and correlation id, and its position if it has one."""
    found: dict[str, str | int] = {}
    if message_id is not None:
        found[MESSAGE_ID] = message_id[:TEXT_MAX]
    if conversation_id is not None:
        found[CONVERSATION_ID] = conversation_id[:TEXT_MAX]
    if partition is not None:
        found["messaging.destination.partition.id"] = str(partition)
    if offset is not None:
        found["messaging.kafka.offset"] = offset
    return found
