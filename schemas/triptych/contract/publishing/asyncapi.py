"""The AsyncAPI 3.0 document of the topics, made from the models."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from triptych.contract.commands import COMMAND_TYPE_PREFIX, COMMANDS
from triptych.contract.domain_event import EVENTS
from triptych.contract.joined import GalleryRecord, ItemRecord
from triptych.contract.replies import REPLY_TYPE, Reply
from triptych.contract.snapshots import SNAPSHOT_PARTS, SNAPSHOT_TYPE_PREFIX
from triptych.contract.topics import Topics

CONTRACT_VERSION = "1.0.0"

MESSAGES: dict[str, tuple[tuple[type[BaseModel], str | None], ...]] = {
    "commands": tuple((model, COMMAND_TYPE_PREFIX + name) for name, model in COMMANDS.items()),
    "replies": ((Reply, REPLY_TYPE),),
    "events": (
        *((model, event_type.value) for event_type, model in EVENTS.items()),
        *((part, SNAPSHOT_TYPE_PREFIX + part.model_fields["part"].default) for part in SNAPSHOT_PARTS),
    ),
    "galleries": ((GalleryRecord, None), (ItemRecord, None)),
}
"""The messages of each topic with their CloudEvents types; joined records are state, not events, and have none."""

_DESCRIPTIONS = {
    "commands": "What is asked for. Key: the gallery's id. Structured CloudEvents are accepted as well.",
    "replies": "What became of a command. Key: its correlation id.",
    "events": "What happened, one gapless sequence per gallery; repeats are possible. Key: the gallery's id.",
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
        "traceparent",
        "tracestate",
    ),
}


def asyncapi_document(topics: Topics | None = None) -> dict[str, Any]:
    """The document of the topics, seen from this application: it receives commands and sends the rest."""
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
    """Commands are described as they may be written, everything else as it is when it arrives."""
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
