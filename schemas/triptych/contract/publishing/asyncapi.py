"""Makes the AsyncAPI 3.0 document of the topics from the models."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from triptych.contract.commands import COMMAND_TYPE_PREFIX, COMMANDS
from triptych.contract.domain_event import EVENTS
from triptych.contract.joined import GalleryRecord, ItemRecord
from triptych.contract.replies import REPLY_TYPE, Reply
from triptych.contract.snapshots import SNAPSHOT_RECORDS, SNAPSHOT_TYPE_PREFIX
from triptych.contract.topics import Topics

CONTRACT_VERSION = "1.1.0"

MESSAGES: dict[str, tuple[tuple[type[BaseModel], str | None], ...]] = {
    "commands": tuple((model, COMMAND_TYPE_PREFIX + name) for name, model in COMMANDS.items()),
    "replies": ((Reply, REPLY_TYPE),),
    "events": (
        *((model, event_type.value) for event_type, model in EVENTS.items()),
        *((model, SNAPSHOT_TYPE_PREFIX + model.model_fields["part"].default) for model in SNAPSHOT_RECORDS),
    ),
    "galleries": ((GalleryRecord, None), (ItemRecord, None)),
}
"""The messages of each topic with their CloudEvents types. Joined records are state, not events, and have no type."""

_DESCRIPTIONS = {
    "commands": "Requests for changes. Key: the gallery's id. Structured CloudEvents are accepted as well.",
    "replies": "The outcomes of commands. Key: the command's correlation id.",
    "events": "The changes of each gallery, in one sequence without gaps; repeats are possible. Key: the gallery's id.",
    "galleries": "Galleries joined with their items, compacted. Key: gallery id, or gallery id / item id.",
}

_TEXT = {"type": "string"}
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "commands": ("ce_siteid", "ce_correlationid", "ce_replyto", "ce_request", "traceparent", "tracestate"),
    "replies": ("ce_subject", "ce_siteid", "ce_correlationid", "ce_causationid"),
    "events": (
        "ce_time",
        "ce_subject",
        "ce_sequence",
        "ce_siteid",
        "ce_correlationid",
        "ce_causationid",
        "ce_commandsource",
        "ce_noticeto",
        "traceparent",
        "tracestate",
    ),
}


def asyncapi_document(topics: Topics | None = None) -> dict[str, Any]:
    """The document of the topics from this application's view: it receives commands and sends everything else."""
    addresses = topics or Topics()
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, mode_of(channel)) for channel, messages in MESSAGES.items() for model, _ in messages
    ]
    references, definitions = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Triptych",
            "version": CONTRACT_VERSION,
            "description": "Galleries and their items by commands and events.",
        },
        "defaultContentType": "application/json",
        "channels": {
            channel: {
                "address": getattr(addresses, channel),
                "description": _DESCRIPTIONS[channel],
                "messages": {
                    model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model, _ in messages
                },
            }
            for channel, messages in MESSAGES.items()
        },
        "operations": {
            "carryOutCommand": {
                "action": "receive",
                "channel": {"$ref": "#/channels/commands"},
                "reply": {
                    "address": {"location": "$message.header#/ce_replyto"},
                    "channel": {"$ref": "#/channels/replies"},
                },
            },
            "publishEvent": {"action": "send", "channel": {"$ref": "#/channels/events"}},
            "publishGallery": {"action": "send", "channel": {"$ref": "#/channels/galleries"}},
        },
        "components": {
            "messages": {
                model.__name__: _message(channel, event_type, references[(model, mode_of(channel))])
                for channel, messages in MESSAGES.items()
                for model, event_type in messages
            },
            "schemas": definitions["$defs"],
        },
    }


def mode_of(channel: str) -> JsonSchemaMode:
    """The mode of a channel's schemas: input for commands, output for everything else."""
    return "validation" if channel == "commands" else "serialization"


def _message(channel: str, event_type: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    if event_type is None:
        return {"payload": payload}
    headers = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _TEXT,
        "ce_type": {"const": event_type},
        "ce_source": _TEXT,
        **dict.fromkeys(_ATTRIBUTES[channel], _TEXT),
    }
    return {
        "headers": {"type": "object", "properties": headers, "required": ["ce_specversion", "ce_id", "ce_type"]},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": payload,
    }
