"""Names, purely, the subjects of a schema registry, with their schemas and compatibility levels."""

import json
from typing import NamedTuple

from triptych.contract.publishing.asyncapi import MESSAGES
from triptych.contract.publishing.publish import message_schemas
from triptych.contract.topics import Topics


class Subject(NamedTuple):
    """A subject, the text of its JSON Schema, and the compatibility level that its versions need."""

    name: str
    schema: str
    level: str


def subjects(topics: Topics) -> list[Subject]:
    """The subjects of all records on topics, such as `triptych.events-ItemCreated`.

    The names are those of Confluent's TopicRecordNameStrategy: topic, hyphen, title of the schema.
    """
    schemas = message_schemas()
    return [
        Subject(
            name=f"{getattr(topics, channel)}-{model.__name__}",
            schema=json.dumps(schemas[f"{channel}/{model.__name__}.json"], ensure_ascii=False, separators=(",", ":")),
            level=level_of(channel),
        )
        for channel, messages in MESSAGES.items()
        for model, _ in messages
    ]


def level_of(channel: str) -> str:
    """The compatibility level of a channel's subjects.

    Consumers with any older schema read what is written now: FORWARD_TRANSITIVE. The opposite level for commands,
    BACKWARD, would refuse each new optional field, since older producers might have sent a field of that name with
    another type. So the registry checks nothing for commands; the released versions do (decision 47).
    """
    return "NONE" if channel == "commands" else "FORWARD_TRANSITIVE"
