"""Encodes the records of the floor as the command service does."""

import orjson
import uuid_utils

from benchmarks.baselines.floor_kafka import Message
from benchmarks.baselines.floor_mongo import Document

_SLUGS = {"item": "gallery_item_created", "updatedItem": "gallery_item_updated", "itemId": "gallery_item_deleted"}


def event_message(head: Document, body: Document, command_id: str, now: str) -> Message:
    """The event of a change. `body` has one field, whose name says which kind of change it is."""
    (kind,) = body
    slug = _SLUGS[kind]
    gallery_id, sequence, event_id = head["_id"], str(head["sequence"]), str(uuid_utils.uuid7())
    event = {
        "eventType": f"wix.pro_gallery.gallery_v2_{slug}",
        "id": event_id,
        "entityFqdn": "wix.pro_gallery.v2.gallery",
        "slug": slug,
        "entityId": gallery_id,
        "eventTime": now,
        "triggeredByAnonymizeRequest": False,
        "originatedFrom": "",
        "entityEventSequence": sequence,
        "actionEvent": {"body": body},
    }
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", event["eventType"].encode()),
        ("ce_source", b"triptych/command"),
        ("ce_time", now.encode()),
        ("ce_subject", gallery_id.encode()),
        ("ce_sequence", sequence.encode()),
        ("ce_siteid", b"default"),
        ("ce_correlationid", command_id.encode()),
        ("ce_causationid", command_id.encode()),
        ("content-type", b"application/json"),
    ]
    return gallery_id.encode(), orjson.dumps(event), headers


def reply_message(reply: Document) -> Message:
    """A reply, keyed by its correlation id."""
    command_id = reply["commandId"].encode()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", command_id),
        ("ce_type", b"triptych.reply.v1"),
        ("ce_source", b"triptych/command"),
        ("ce_subject", reply["galleryId"].encode()),
        ("ce_siteid", b"default"),
        ("ce_correlationid", command_id),
        ("ce_causationid", command_id),
        ("content-type", b"application/json"),
    ]
    return command_id, orjson.dumps(reply), headers
