"""Makes wire examples of every record, with the code that writes the records."""

from collections.abc import Mapping
from typing import Any

import orjson

from triptych.contract.base import ViolatedRule
from triptych.contract.codec import events
from triptych.contract.codec.encoding import Message, encode_event, encode_reply, encode_snapshot
from triptych.contract.commands import COMMAND_TYPE_PREFIX
from triptych.contract.exports import gallery_line, item_line
from triptych.contract.joined import JOINED_HEADERS, gallery_key, item_key
from triptych.contract.publishing import example_content as content
from triptych.contract.publishing.example_meaning import Example, meaning_of
from triptych.contract.replies import ErrorCode, Reply, ReplyError, Violation
from triptych.contract.snapshots import snapshot_ended, snapshot_item, snapshot_started

_STRUCTURED = {"content-type": "application/cloudevents+json"}


def wire_examples() -> dict[str, list[Example]]:
    """The examples of this build by file name, such as `commands/CreateGallery.json`."""
    made = {f"commands/{name}.json": _commands(name, data) for name, data in content.COMMANDS.items()}
    return {
        **made,
        "replies/Reply.json": _replies(),
        **_events(),
        **_snapshots(),
        **_joined(),
        **_exports(),
        **_bodies(),
    }


def _example(file_name: str, name: str, key: str | None, headers: Mapping[str, str], value: Any) -> Example:
    example = Example(name, key, headers, value, None)
    return example._replace(meaning=meaning_of(file_name, example))


def _commands(name: str, examples: Mapping[str, Mapping[str, Any]]) -> list[Example]:
    """Each example in binary mode with every attribute, and the first one in structured mode with the fewest.

    Producers may also send fields and attributes that Triptych does not know.
    """
    file_name, type_ = f"commands/{name}.json", COMMAND_TYPE_PREFIX + name
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": content.COMMAND_ID,
        "ce_type": type_,
        "ce_source": content.SOURCE,
        "ce_siteid": content.SITE_ID,
        "ce_correlationid": "request-1",
        "ce_replyto": "triptych.replies",
        "ce_request": "request-1",
        "traceparent": content.TRACEPARENT,
        "tracestate": content.TRACESTATE,
        "content-type": "application/json",
    }
    binary = [
        _example(file_name, example, data.get("galleryId"), attributes, data) for example, data in examples.items()
    ]
    envelope = {"specversion": "1.0", "id": content.COMMAND_ID, "type": type_, "source": content.SOURCE}
    first = binary[0]
    structured = {**envelope, "data": first.value}
    expecting = {**first.value, "expectedSequence": 4, "expectedSequences": [4, 5]}
    unknown = {**first.value, "unknownField": {"kept": False}}
    return [
        *binary,
        _example(file_name, "expecting", first.key, attributes, expecting),
        _example(file_name, "unknown-fields", first.key, {**attributes, "ce_unknown": "1"}, unknown),
        _example(file_name, "structured", first.key, _STRUCTURED, structured),
        _example(file_name, "structured-without-content-type", first.key, {}, structured),
    ]


def _sent(file_name: str, name: str, message: Message) -> Example:
    headers = {header: value.decode() for header, value in message.headers}
    return _example(file_name, name, message.key.decode(), headers, orjson.loads(message.value))


def _replies() -> list[Example]:
    violation = Violation(
        field="items[0].title",
        description="has at most 1000 characters",
        violated_rule=ViolatedRule.MAX_LENGTH,
        data={"threshold": 1000},
    )
    accepted = Reply(
        command_id=content.COMMAND_ID,
        outcome="accepted",
        gallery_id=content.GALLERY_ID,
        sequence=4,
        item_ids=[content.ITEM_ID],
    )
    refusal = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message="one field is wrong", violations=[violation])
    conflict = ReplyError(code=ErrorCode.SEQUENCE_CONFLICT, message="the gallery has changed", data={"sequence": 5})
    replies = {
        "accepted": accepted,
        "invalid": Reply(command_id=content.COMMAND_ID, outcome="rejected", error=refusal),
        "conflict": accepted.model_copy(update={"outcome": "rejected", "item_ids": None, "error": conflict}),
    }
    return [
        _sent("replies/Reply.json", name, encode_reply(reply, correlation_id="request-1", site_id=content.SITE_ID))
        for name, reply in replies.items()
    ]


def _attributes() -> dict[str, Any]:
    return {
        "site_id": content.SITE_ID,
        "correlation_id": "request-1",
        "causation_id": content.COMMAND_ID,
        "traceparent": content.TRACEPARENT,
        "tracestate": content.TRACESTATE,
        "command_source": content.SOURCE,
    }


def _events() -> dict[str, list[Example]]:
    head = (content.EVENT_ID, content.GALLERY_ID, 4, content.AT)
    origin = events.GALLERY_DELETED_ORIGIN
    made = {
        "GalleryCreated": {"named": events.gallery_created(*head, content.GALLERY)},
        "GalleryUpdated": {
            "named": events.gallery_updated(*head, content.GALLERY),
            "nameless": events.gallery_updated(*head, content.NAMELESS),
        },
        "GalleryDeleted": {"plain": events.gallery_deleted(*head)},
        "ItemCreated": {item["type"].lower(): events.item_created(*head, item) for item in content.ITEMS},
        "ItemUpdated": {item["type"].lower(): events.item_updated(*head, item) for item in content.ITEMS},
        "ItemDeleted": {
            "alone": events.item_deleted(*head, content.ITEM_ID),
            "with-gallery": events.item_deleted(*head, content.ITEM_ID, origin),
        },
    }
    return {
        (file_name := f"events/{model}.json"): [
            _sent(file_name, name, encode_event(event, **_attributes())) for name, event in examples.items()
        ]
        for model, examples in made.items()
    }


def _snapshots() -> dict[str, list[Example]]:
    head = (content.SNAPSHOT_ID, content.GALLERY_ID, 4)
    records = {
        "SnapshotStarted": [snapshot_started(*head, content.GALLERY)],
        "SnapshotItem": [snapshot_item(*head, position, item) for position, item in enumerate(content.ITEMS)],
        "SnapshotEnded": [snapshot_ended(*head, len(content.ITEMS))],
    }
    return {
        (file_name := f"events/{model}.json"): [
            _sent(file_name, f"part-{number}", encode_snapshot(record, **_attributes()))
            for number, record in enumerate(made, 1)
        ]
        for model, made in records.items()
    }


def _joined() -> dict[str, list[Example]]:
    headers = {name: value.decode() for name, value in JOINED_HEADERS}
    place = {"galleryId": content.GALLERY_ID, "siteId": content.SITE_ID, "sequence": 4}
    items = list(content.ITEMS)
    heads = {
        "whole": {**place, "totalItems": 3, "gallery": content.GALLERY, "items": items, "itemsTruncated": False},
        "nameless": {**place, "totalItems": 3, "gallery": content.NAMELESS, "items": [], "itemsTruncated": True},
        "gone": None,
    }
    gallery = {key: value for key, value in content.GALLERY.items() if key not in ("totalItems", "items")}
    parts = {
        **{
            item["type"].lower(): {**place, "itemId": content.ITEM_ID, "gallery": gallery, "item": item}
            for item in items
        },
        "gone": None,
    }
    head_file, item_file = "galleries/GalleryRecord.json", "galleries/ItemRecord.json"
    head, item = gallery_key(content.GALLERY_ID).decode(), item_key(content.GALLERY_ID, content.ITEM_ID).decode()
    return {
        head_file: [_example(head_file, name, head, headers, value) for name, value in heads.items()],
        item_file: [_example(item_file, name, item, headers, value) for name, value in parts.items()],
    }


def _exports() -> dict[str, list[Example]]:
    gallery_file, item_file = "exports/GalleryLine.json", "exports/ItemLine.json"
    line = gallery_line(content.SITE_ID, 4, content.GALLERY)
    return {
        gallery_file: [_example(gallery_file, "line", None, {}, line)],
        item_file: [
            _example(item_file, item["type"].lower(), None, {}, item_line(content.GALLERY_ID, item))
            for item in content.ITEMS
        ],
    }


def _bodies() -> dict[str, list[Example]]:
    """Bodies of webhooks, whose headers have a signature and are those of Standard Webhooks."""
    file_name = "webhooks/StandardBody.json"
    examples = [(f"{name}-{one.name}", one.value) for name, made in _events().items() for one in made]
    return {
        file_name: [
            _example(file_name, name.removeprefix("events/").replace(".json", ""), None, {}, _body(event))
            for name, event in examples
        ]
    }


def _body(event: Mapping[str, Any]) -> dict[str, Any]:
    envelope = {name: field for name, field in event.items() if name != "eventType"}
    return {"type": event["eventType"], "timestamp": event["eventTime"], "data": envelope}
