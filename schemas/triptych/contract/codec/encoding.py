"""Encodes commands, events, snapshots and replies as Kafka records in binary mode."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from triptych.contract.codec.cloudevents import SPECVERSION
from triptych.contract.codec.command_records import CommandEnvelope, gallery_id_of
from triptych.contract.commands import COMMAND_TYPE_PREFIX, command_name
from triptych.contract.replies import REPLY_TYPE, Reply
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX

_SPECVERSION_HEADER = ("ce_specversion", SPECVERSION.encode())
_JSON_HEADER = ("content-type", b"application/json")


class Message(NamedTuple):
    """A record to publish: key, value and headers."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def encode_command(envelope: CommandEnvelope) -> Message:
    """The record of a command in binary mode; the key is the gallery's id."""
    gallery_id = gallery_id_of(envelope)
    return Message(
        key=gallery_id.encode(),
        value=envelope.data.to_json(),
        headers=_headers(
            ce_id=envelope.command_id,
            ce_type=COMMAND_TYPE_PREFIX + command_name(envelope.data),
            ce_source=envelope.source,
            ce_subject=gallery_id,
            ce_siteid=envelope.site_id,
            ce_request=envelope.request,
            ce_correlationid=envelope.correlation_id,
            ce_replyto=envelope.reply_to,
            traceparent=envelope.traceparent,
            tracestate=envelope.tracestate,
        ),
    )


def encode_event(
    event: Mapping[str, Any],
    *,
    site_id: str,
    correlation_id: str,
    causation_id: str | None,
    traceparent: str | None,
    command_source: str | None = None,
    tracestate: str | None = None,
    notice_to: str | None = None,
) -> Message:
    """The record of an event of `contract.codec.events`; the key is the gallery's id, `causation_id` a command id.

    `notice_to` is the topic on which a gateway waits until the read model shows the event.
    """
    gallery_id: str = event["entityId"]
    return Message(
        key=gallery_id.encode(),
        value=orjson.dumps(event),
        headers=_headers(
            ce_id=event["id"],
            ce_type=event["eventType"],
            ce_source="triptych/command",
            ce_time=event["eventTime"],
            ce_subject=gallery_id,
            ce_sequence=event["entityEventSequence"],
            ce_siteid=site_id,
            ce_correlationid=correlation_id,
            ce_causationid=causation_id,
            ce_commandsource=command_source,
            ce_noticeto=notice_to,
            traceparent=traceparent,
            tracestate=tracestate,
        ),
    )


def encode_snapshot(
    snapshot_record: Mapping[str, Any],
    *,
    site_id: str,
    correlation_id: str,
    causation_id: str | None,
    traceparent: str | None,
    command_source: str | None = None,
    tracestate: str | None = None,
    notice_to: str | None = None,
) -> Message:
    """A record of `triptych.contract.snapshots` for the events topic; the key is the gallery's id.

    `notice_to` is that of `encode_event`.
    """
    gallery_id: str = snapshot_record["galleryId"]
    part = snapshot_record["part"]
    return Message(
        key=gallery_id.encode(),
        value=orjson.dumps(snapshot_record),
        headers=_headers(
            ce_id=f"{snapshot_record['snapshotId']}/{snapshot_record.get('position', part)}",
            ce_type=SNAPSHOT_TYPE_PREFIX + part,
            ce_source="triptych/command",
            ce_subject=gallery_id,
            ce_sequence=str(snapshot_record["sequence"]),
            ce_siteid=site_id,
            ce_correlationid=correlation_id,
            ce_causationid=causation_id,
            ce_commandsource=command_source,
            ce_noticeto=notice_to,
            traceparent=traceparent,
            tracestate=tracestate,
        ),
    )


def encode_reply(reply: Reply, *, correlation_id: str, site_id: str) -> Message:
    """The record of a reply; the replies to a repeated command have the same id."""
    return Message(
        key=correlation_id.encode(),
        value=reply.to_json(),
        headers=_headers(
            ce_id=reply.command_id,
            ce_type=REPLY_TYPE,
            ce_source="triptych/command",
            ce_subject=reply.gallery_id,
            ce_siteid=site_id,
            ce_correlationid=correlation_id,
            ce_causationid=reply.command_id,
        ),
    )


def _headers(**attributes: str | None) -> tuple[tuple[str, bytes], ...]:
    present = [(name, value.encode()) for name, value in attributes.items() if value is not None]
    return (_SPECVERSION_HEADER, *present, _JSON_HEADER)
