"""Finds what belongs to an event on other topics: the command that caused it, and the joined record that shows it."""

from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from aiokafka import ConsumerRecord

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.command_records import CommandEnvelope, InvalidCommand, decode_command
from triptych.contract.joined import gallery_key, item_key
from triptych.gateway.live.bounded_reads import BoundedReads
from triptych.gateway.live.topic_events import CLOCKS_DIFFER, SEARCHED_MAX

BEFORE_EVENT = timedelta(seconds=10)
"""How long before an event its command is looked for. Commands are usually carried out within milliseconds."""


class Cause(NamedTuple):
    """What an event says about its command: the site, the source of the command, and its id."""

    site_id: str
    source: str | None
    command_id: str


class FoundCommand(NamedTuple):
    """A command and its record."""

    command: CommandEnvelope
    record: ConsumerRecord[Any, Any]


class JoinedRecord(NamedTuple):
    """The first record of an item or of a gallery's head that has the event; `sequence` is None for a tombstone."""

    sequence: int | None
    record: ConsumerRecord[Any, Any]


async def find_command(
    reads: BoundedReads, topic: str, partition: int, cause: Cause, event_at: datetime
) -> FoundCommand | None:
    """The command that caused an event; None if it is not found within the bounds.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    wanted = cause.command_id.encode()
    ranges = await reads.since(topic, event_at - BEFORE_EVENT, [partition], SEARCHED_MAX)
    async with aclosing(reads.read(topic, ranges)) as records:
        async for record in records:
            # Reading a command costs more than seeing that it cannot be the one.
            if dict(record.headers).get("ce_id") != wanted and wanted not in (record.value or b""):
                continue
            try:
                command = decode_command(record.value, record.headers)
            except (Undecodable, InvalidCommand):
                continue
            if Cause(command.site_id, command.source, command.command_id) == cause:
                return FoundCommand(command, record)
    return None


async def find_joined(
    reads: BoundedReads, topic: str, partition: int, gallery_id: str, item_id: str | None, sequence: int, at: datetime
) -> JoinedRecord | None:
    """The first joined record that has an event, or a later one of the same key; None if it is not found within bounds.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    key = gallery_key(gallery_id) if item_id is None else item_key(gallery_id, item_id)
    ranges = await reads.since(topic, at - CLOCKS_DIFFER, [partition], SEARCHED_MAX)
    async with aclosing(reads.read(topic, ranges)) as records:
        async for record in records:
            if record.key != key:
                continue
            if record.value is None:
                return JoinedRecord(None, record)
            reached = _sequence_of(record.value)
            if reached is not None and reached >= sequence:
                return JoinedRecord(reached, record)
    return None


def _sequence_of(value: bytes) -> int | None:
    """The sequence in a joined record; None for anything else that somebody has put on the topic."""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    sequence = found.get("sequence") if isinstance(found, dict) else None
    return sequence if isinstance(sequence, int) else None
