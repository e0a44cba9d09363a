"""Logs which commands were rejected, in one line for each batch."""

import logging
from collections.abc import Sequence

from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.command.flow.reply_publisher import AddressedReply
from triptych.kit.attribution import trace_of
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)


def report_rejected(replies: Sequence[AddressedReply]) -> None:
    """Log the replies that reject a command, if any: who sent the command, and why it was rejected."""
    rejected = [addressed for addressed in replies if addressed.reply.outcome == "rejected"]
    report(log, logging.INFO, "commands were rejected", rejected, _described, kind_of=_code)


def described(command: ReceivedCommand) -> dict[str, object]:
    """The fields of a log line that name a command."""
    envelope = command.envelope
    return {
        "site_id": envelope.site_id,
        "source": envelope.source,
        "command_id": envelope.command_id,
        "command": envelope.name,
        "gallery_id": command.gallery_id,
        "correlation_id": envelope.correlation_id,
        **trace_of(envelope.traceparent),
    }


def _described(addressed: AddressedReply) -> dict[str, object]:
    fields = {
        "site_id": addressed.site_id,
        "source": addressed.source,
        "command_id": addressed.reply.command_id,
        "gallery_id": addressed.reply.gallery_id,
        "correlation_id": addressed.correlation_id,
        "reason": _code(addressed),
        "error": addressed.reply.error.message if addressed.reply.error else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _code(addressed: AddressedReply) -> str:
    return addressed.reply.error.code.value if addressed.reply.error else "none"
