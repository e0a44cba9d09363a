"""Sorts raw records into commands to carry out here, and records to answer, forward or dead-letter at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord
from triptych.command.flow.reply_publisher import AddressedReply
from triptych.contract.base import ViolatedRule
from triptych.contract.codec.envelope import (
    DEFAULT_SITE_ID,
    CommandEnvelope,
    CommandOrigin,
    InvalidCommand,
    Reason,
    Undecodable,
    decode_command,
    gallery_id_of,
)
from triptych.contract.replies import ErrorCode, Reply, ReplyError, Violation
from triptych.contract.sizes import COMMAND_BYTES_MAX, record_bytes, too_large
from triptych.kit.kafka.layout import TopicLayout
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.kafka.transit import FORWARDED, as_sent, is_replay

TOO_LARGE = Reason.TOO_LARGE.value
MISPLACED = "misplaced"
REASONS = (*(reason.value for reason in Reason), MISPLACED)
"""Why records are dead-lettered."""


class Forward(NamedTuple):
    """A record to publish on its gallery's partition, the record as it was received, and the command in it."""

    record: OutgoingRecord
    received: IncomingRecord
    envelope: CommandEnvelope


@dataclass(slots=True)
class SortedRecords:
    """Sorted records; `refused` are records to dead-letter, each with a reason and a text."""

    commands: list[ReceivedCommand] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    refused: list[tuple[IncomingRecord, str, str]] = field(default_factory=list)
    replies: list[AddressedReply] = field(default_factory=list)
    rejected_replays: int = 0
    """How many of the rejected commands, which are not dead-lettered, were replayed dead letters."""


def sort_records(
    records: Sequence[IncomingRecord], partitions: int, default_site: str, layout: TopicLayout | None = None
) -> SortedRecords:
    """Sort records, each on its own.

    Args:
        records: records of the commands topic.
        partitions: the number of partitions of that topic.
        default_site: the site of replies to records without a readable site.
        layout: the layout of that topic. A record from before a growth is carried out on its former partition.
    """
    sorted_records = SortedRecords()
    layout = layout or TopicLayout(partitions)
    # A process may have forwarded a record by the former number, shortly after partitions were added.
    hops = 2 if layout.formers else 1
    for record in records:
        try:
            # Before decoding: a megabyte on the topic can be many megabytes when it is decompressed.
            if _is_too_large(record):
                raise too_large(record.value, record.headers)
            envelope = decode_command(record.value, record.headers)
        except InvalidCommand as invalid:
            error = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message=str(invalid), violations=invalid.violations)
            _reject(sorted_records, record, invalid.origin, error, default_site, invalid.gallery_id)
            sorted_records.rejected_replays += is_replay(record.headers)
        except Undecodable as undecodable:
            _refuse(
                sorted_records, record, undecodable.origin, undecodable.reason.value, undecodable.text, default_site
            )
        else:
            gallery_id = gallery_id_of(envelope)
            key = gallery_id.encode()
            partition = partition_of(key, layout.count_at(record.partition, record.offset))
            if partition == record.partition:
                received = ReceivedRecord(
                    record.topic, record.partition, record.offset, record.key, record.value, record.headers
                )
                sorted_records.commands.append(ReceivedCommand(partition, gallery_id, envelope, received))
            elif sum([name == FORWARDED for name, _ in record.headers]) >= hops:
                # The forwarding process counted partitions differently: forwarding again could go on for ever.
                text = f"forwarded here, but belongs to partition {partition} of {partitions}"
                _refuse(sorted_records, record, _origin(envelope), MISPLACED, text, default_site)
            else:
                moved = _forward(record, partition_of(key, partitions))
                sorted_records.forwards.append(Forward(moved, record, envelope))
    return sorted_records


def refuse_forwards(sorted_records: SortedRecords, positions: Collection[int]) -> None:
    """Answer and dead-letter the commands at these positions of `forwards`, which are too large to be forwarded."""
    for position in positions:
        moved, record, envelope = sorted_records.forwards[position]
        text = (
            f"the command belongs to partition {moved.partition}, and is too large to be moved there from "
            f"{record.partition}: send it there (murmur2 of the gallery id), or in parts"
        )
        _refuse(sorted_records, record, _origin(envelope), TOO_LARGE, text, DEFAULT_SITE_ID)
    sorted_records.forwards = [one for position, one in enumerate(sorted_records.forwards) if position not in positions]


def _is_too_large(record: IncomingRecord) -> bool:
    """Whether the record is too large as its sender sent it: forwarding or replaying a command must not refuse it."""
    key, value, headers = record.key, record.value, record.headers
    return (
        record_bytes(key, value, headers) > COMMAND_BYTES_MAX
        and record_bytes(key, value, as_sent(headers)) > COMMAND_BYTES_MAX
    )


def _origin(envelope: CommandEnvelope) -> CommandOrigin:
    return CommandOrigin(
        command_id=envelope.command_id,
        reply_to=envelope.reply_to,
        correlation_id=envelope.correlation_id,
        site_id=envelope.site_id,
    )


def _forward(record: IncomingRecord, partition: int) -> OutgoingRecord:
    position = f"{record.topic}-{record.partition}@{record.offset}"
    headers = (*record.headers, (FORWARDED, position.encode()))
    return OutgoingRecord(record.topic, record.key, record.value, headers, partition)


def _refuse(
    sorted_records: SortedRecords,
    record: IncomingRecord,
    origin: CommandOrigin | None,
    reason: str,
    text: str,
    default_site: str,
) -> None:
    sorted_records.refused.append((record, reason, text))
    if origin is not None:
        code = ErrorCode.UNIMPLEMENTED if reason == "UNKNOWN_TYPE" else ErrorCode.INVALID_ARGUMENT
        violations = [_too_large(text)] if reason == TOO_LARGE else []
        _reject(
            sorted_records, record, origin, ReplyError(code=code, message=text, violations=violations), default_site
        )


def _too_large(text: str) -> Violation:
    return Violation(
        field="", description=text, violated_rule=ViolatedRule.MAX_SIZE, data={"threshold": COMMAND_BYTES_MAX}
    )


def _reject(
    sorted_records: SortedRecords,
    record: IncomingRecord,
    origin: CommandOrigin,
    error: ReplyError,
    default_site: str,
    gallery_id: str | None = None,
) -> None:
    # Without a command id, the sender could not match the reply to a command.
    if origin.command_id is not None:
        reply = Reply(command_id=origin.command_id, outcome="rejected", gallery_id=gallery_id, error=error)
        sorted_records.replies.append(
            AddressedReply(
                reply,
                record.partition,
                origin.site_id or default_site,
                origin.correlation_id or origin.command_id,
                origin.reply_to,
                origin.source,
            )
        )
