"""Builds commands from what a caller gives, and refuses without Kafka what the command service would refuse."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from triptych.client.commands.errors import CommandRejected
from triptych.contract.base import ViolatedRule, WireModel
from triptych.contract.codec.cloudevents import Undecodable, check_attributes, origin_of, read_headers
from triptych.contract.codec.envelope import CommandEnvelope, Message, encode_command
from triptych.contract.commands import CommandData, command_name
from triptych.contract.replies import ErrorCode, Reply, ReplyError, Violation
from triptych.contract.sizes import COMMAND_BYTES_MAX, record_bytes
from triptych.contract.violations import violations_of

CommandT = TypeVar("CommandT", bound=WireModel)


class SendOptions(TypedDict, total=False):
    """What may be given with every command.

    Keys:
        command_id: the command's id, 1 to 255 printable characters; a random one if absent. The same id twice has one
            effect.
        deadline: seconds until the reply must be there; that of `Commands` if absent.
        site_id: the site; that of `Commands` if absent.
        traceparent: a W3C trace context, which the events of the command carry.
    """

    command_id: str
    deadline: float
    site_id: str
    traceparent: str


class Options(SendOptions, total=False):
    """What may be given with every method of `Commands` that is named after a command.

    Keys:
        expected_sequence: the command is refused unless this is the number of the gallery's last event.
        expected_sequences: the same with up to 100 numbers; one of them must be that number.
    """

    expected_sequence: int
    expected_sequences: Iterable[int]


def new_command_id() -> str:
    """A random id for a command."""
    return str(uuid.uuid4())


def build(kind: type[CommandT], command_id: str, fields: Mapping[str, Any]) -> CommandT:
    """The command with these fields, by their names in Python; None counts as absent.

    Raises CommandRejected with INVALID_ARGUMENT and all violations, as the command service would.
    """
    # By the names of the wire, by which violations name fields.
    given = {to_camel(name): value for name, value in fields.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise refused(command_id, violations_of(error)) from None


def encode(
    command: CommandData, *, command_id: str, site_id: str, source: str, reply_to: str | None, traceparent: str | None
) -> tuple[bytes, Message]:
    """The correlation id of a command, and its record.

    The correlation id is the key of the reply. It is new for each call: senders with different sources may use the same
    command ids, and must not take the reply to the other one for theirs.

    Raises:
        ValueError: the command id, source or trace context breaks its rule (docs/producers.md).
        CommandRejected: the record is larger than a command may be.
    """
    correlation_id = str(uuid.uuid4())
    message = encode_command(
        CommandEnvelope(
            command_id=command_id,
            site_id=site_id,
            name=command_name(command),
            data=command,
            reply_to=reply_to,
            correlation_id=correlation_id,
            traceparent=traceparent,
            source=source,
        )
    )
    attributes = read_headers(message.headers)
    try:
        check_attributes(attributes, origin_of(attributes))
    except Undecodable as error:
        raise ValueError(error.text) from None
    if record_bytes(message.key, message.value, message.headers) > COMMAND_BYTES_MAX:
        raise too_large(command_id)
    return correlation_id.encode(), message


def too_large(command_id: str) -> CommandRejected:
    """The refusal of a command that is too large, for the contract or for Kafka (docs/producers.md, Size)."""
    return refused(
        command_id,
        [
            Violation(
                field="",
                description=f"must be at most {COMMAND_BYTES_MAX} bytes, and 1 MiB compressed",
                violated_rule=ViolatedRule.MAX_SIZE,
                data={"threshold": COMMAND_BYTES_MAX},
            )
        ],
    )


def refused(command_id: str, violations: list[Violation]) -> CommandRejected:
    """The refusal of a command that was not sent."""
    message = "; ".join(f"{one.field} {one.description}".strip() for one in violations[:3])
    error = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message=message, violations=violations)
    return CommandRejected(Reply(command_id=command_id, outcome="rejected", error=error))
