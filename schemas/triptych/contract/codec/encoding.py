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
_SOURCE_HEADER = ("ce_source", b"triptych/command")
_REPLY_TYPE_HEADER = ("ce_type", REPLY_TYPE.encode())
# The headers of events and replies are written out: a loop over all names would take twice as long, for every command.


class Message(NamedTuple):
    """A record to publish: key, value and headers."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def encode_command(envelope: CommandEnvelope) -> Message:
    """The record of a command in binary mode; the key is the gallery's id."""
    gallery_id = gallery_id_of(envelope)
    attributes = {
        "ce_id": envelope.command_id,
        "ce_type": COMMAND_TYPE_PREFIX + command_name(envelope.data),
        "ce_source": envelope.source,
        "ce_subject": gallery_id,
        "ce_siteid": envelope.site_id,
        "ce_request": envelope.request,
        "ce_correlationid": envelope.correlation_id,
        "ce_replyto": envelope.reply_to,
        "traceparent": envelope.traceparent,
        "tracestate": envelope.tracestate,
    }
    headers = [(name, value.encode()) for name, value in attributes.items() if value is not None]
    return Message(gallery_id.encode(), envelope.data.to_json(), (_SPECVERSION_HEADER, *headers, _JSON_HEADER))


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
    key = event["entityId"].encode()
    headers = [
        _SPECVERSION_HEADER,
        ("ce_id", event["id"].encode()),
        ("ce_type", event["eventType"].encode()),
        _SOURCE_HEADER,
        ("ce_time", event["eventTime"].encode()),
        ("ce_subject", key),
        ("ce_sequence", event["entityEventSequence"].encode()),
        ("ce_siteid", site_id.encode()),
        ("ce_correlationid", correlation_id.encode()),
    ]
    _add_cause(headers, causation_id, command_source, notice_to, traceparent, tracestate)
    headers.append(_JSON_HEADER)
    return Message(key, orjson.dumps(event), tuple(headers))


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
    key = snapshot_record["galleryId"].encode()
    part = snapshot_record["part"]
    headers = [
        _SPECVERSION_HEADER,
        ("ce_id", f"{snapshot_record['snapshotId']}/{snapshot_record.get('position', part)}".encode()),
        ("ce_type", f"{SNAPSHOT_TYPE_PREFIX}{part}".encode()),
        _SOURCE_HEADER,
        ("ce_subject", key),
        ("ce_sequence", str(snapshot_record["sequence"]).encode()),
        ("ce_siteid", site_id.encode()),
        ("ce_correlationid", correlation_id.encode()),
    ]
    _add_cause(headers, causation_id, command_source, notice_to, traceparent, tracestate)
    headers.append(_JSON_HEADER)
    return Message(key, orjson.dumps(snapshot_record), tuple(headers))


def encode_reply(reply: Reply, *, correlation_id: str, site_id: str) -> Message:
    """The record of a reply; the replies to a repeated command have the same id."""
    command_id, correlation = reply.command_id.encode(), correlation_id.encode()
    headers = [_SPECVERSION_HEADER, ("ce_id", command_id), _REPLY_TYPE_HEADER, _SOURCE_HEADER]
    if reply.gallery_id is not None:
        headers.append(("ce_subject", reply.gallery_id.encode()))
    headers += (
        ("ce_siteid", site_id.encode()),
        ("ce_correlationid", correlation),
        ("ce_causationid", command_id),
        _JSON_HEADER,
    )
    return Message(correlation, reply.to_json(), tuple(headers))


def _add_cause(
    headers: list[tuple[str, bytes]],
    causation_id: str | None,
    command_source: str | None,
    notice_to: str | None,
    traceparent: str | None,
    tracestate: str | None,
) -> None:
    """Add the headers that say which command caused an event, as far as they are known."""
    if causation_id is not None:
        headers.append(("ce_causationid", causation_id.encode()))
    if command_source is not None:
        headers.append(("ce_commandsource", command_source.encode()))
    if notice_to is not None:
        headers.append(("ce_noticeto", notice_to.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    if tracestate is not None:
        headers.append(("tracestate", tracestate.encode()))
