"""Sorts raw records: commands to carry out here, and records to answer, forward or dead-letter at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from triptych.command.domain.unit_of_work import PlacedCommand, ReceivedRecord
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
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.dead_letters import IncomingRecord
from triptych.kit.kafka.publishing.publisher import OutgoingRecord

FORWARDED = "triptych-forwarded"
"""Header of a record that was moved to its gallery's partition; its value is where the record came from."""


TOO_LARGE = Reason.TOO_LARGE.value


class Forward(NamedTuple):
    """A record as it is to be published on its gallery's partition, as it was received, and the command in it."""

    record: OutgoingRecord
    received: IncomingRecord
    envelope: CommandEnvelope


@dataclass(slots=True)
class SortedRecords:
    """A batch, sorted; `refused` come with reason and text."""

    commands: list[PlacedCommand] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    refused: list[tuple[IncomingRecord, str, str]] = field(default_factory=list)
    answers: list[AddressedReply] = field(default_factory=list)

    def add(self, other: "SortedRecords") -> None:
        """Take over everything of another part of the batch."""
        self.commands += other.commands
        self.forwards += other.forwards
        self.refused += other.refused
        self.answers += other.answers


def sort_records(records: Sequence[IncomingRecord], partitions: int, default_site: str) -> SortedRecords:
    """Judge each record on its own.

    Args:
        records: of the commands topic.
        partitions: how many that topic has.
        default_site: the site of replies to records that name none that can be read.
    """
    intake = SortedRecords()
    for record in records:
        try:
            # Before anything is decoded: a megabyte on the topic can be many when it is not compressed any more.
            if record_bytes(record.key, record.value, record.headers) > COMMAND_BYTES_MAX:
                raise too_large(record.value, record.headers)
            envelope = decode_command(record.value, record.headers)
        except InvalidCommand as invalid:
            error = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message=str(invalid), violations=invalid.violations)
            _reject(intake, record, invalid.origin, error, default_site, invalid.gallery_id)
        except Undecodable as undecodable:
            _refuse(intake, record, undecodable.origin, undecodable.reason.value, undecodable.text, default_site)
        else:
            gallery_id = gallery_id_of(envelope)
            partition = partition_of(gallery_id.encode(), partitions)
            if partition == record.partition:
                received = ReceivedRecord(
                    record.topic, record.partition, record.offset, record.key, record.value, record.headers
                )
                intake.commands.append(PlacedCommand(partition, gallery_id, envelope, received))
            elif any(name == FORWARDED for name, _ in record.headers):
                # Whoever forwarded it counted partitions differently: moving it on could go round for ever.
                text = f"forwarded here, but belongs to partition {partition} of {partitions}"
                _refuse(intake, record, _origin(envelope), "misplaced", text, default_site)
            else:
                intake.forwards.append(Forward(_forward(record, partition), record, envelope))
    return intake


def refuse_forwards(intake: SortedRecords, positions: Collection[int]) -> None:
    """Answer and dead-letter the commands at these positions of `forwards`, which are too large to be moved."""
    for position in positions:
        moved, record, envelope = intake.forwards[position]
        text = (
            f"the command belongs to partition {moved.partition}, and is too large to be moved there from "
            f"{record.partition}: send it there (murmur2 of the gallery id), or in parts"
        )
        _refuse(intake, record, _origin(envelope), TOO_LARGE, text, DEFAULT_SITE_ID)
    intake.forwards = [one for position, one in enumerate(intake.forwards) if position not in positions]


def _origin(envelope: CommandEnvelope) -> CommandOrigin:
    return CommandOrigin(
        command_id=envelope.command_id,
        reply_to=envelope.reply_to,
        correlation_id=envelope.correlation_id,
        site_id=envelope.site_id,
    )


def _forward(record: IncomingRecord, partition: int) -> OutgoingRecord:
    origin = f"{record.topic}-{record.partition}@{record.offset}"
    headers = (*record.headers, (FORWARDED, origin.encode()))
    return OutgoingRecord(record.topic, record.key, record.value, headers, partition)


def _refuse(
    intake: SortedRecords,
    record: IncomingRecord,
    origin: CommandOrigin | None,
    reason: str,
    text: str,
    default_site: str,
) -> None:
    intake.refused.append((record, reason, text))
    if origin is not None:
        code = ErrorCode.UNIMPLEMENTED if reason == "UNKNOWN_TYPE" else ErrorCode.INVALID_ARGUMENT
        violations = [_too_large(text)] if reason == TOO_LARGE else []
        _reject(intake, record, origin, ReplyError(code=code, message=text, violations=violations), default_site)


def _too_large(text: str) -> Violation:
    return Violation(
        field="", description=text, violated_rule=ViolatedRule.MAX_SIZE, data={"threshold": COMMAND_BYTES_MAX}
    )


def _reject(
    intake: SortedRecords,
    record: IncomingRecord,
    origin: CommandOrigin,
    error: ReplyError,
    default_site: str,
    gallery_id: str | None = None,
) -> None:
    # Without an id of the command, nobody could tell which one the reply is about.
    if origin.command_id is not None:
        reply = Reply(command_id=origin.command_id, outcome="rejected", gallery_id=gallery_id, error=error)
        intake.answers.append(
            AddressedReply(
                reply,
                record.partition,
                origin.site_id or default_site,
                origin.correlation_id or origin.command_id,
                origin.reply_to,
                origin.source,
            )
        )
