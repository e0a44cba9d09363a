"""Owns how a command can fail for its sender: refused, or without a reply by the deadline."""

from typing import Any

from triptych.contract.replies import ErrorCode, Reply, ReplyError, Violation


class CommandRejected(Exception):
    """A command was refused and had no effect. The codes are in docs/producers.md.

    Attributes:
        reply: the whole reply.
        error: its code, message, violations and data.
    """

    def __init__(self, reply: Reply) -> None:
        error = reply.error or ReplyError(code=ErrorCode.INTERNAL, message="refused without a reason")
        super().__init__(f"{error.code}: {error.message}")
        self.reply = reply
        self.error = error

    @property
    def code(self) -> ErrorCode:
        """Why the command was refused."""
        return self.error.code

    @property
    def command_id(self) -> str:
        """The id of the command."""
        return self.reply.command_id

    @property
    def data(self) -> dict[str, Any]:
        """What belongs to the code, such as `sequence` for SEQUENCE_CONFLICT."""
        return self.error.data

    @property
    def violations(self) -> dict[str, list[Violation]]:
        """The broken rules by the path of their field, such as `items[0].image.quality`; "" is the command itself."""
        found: dict[str, list[Violation]] = {}
        for violation in self.error.violations:
            found.setdefault(violation.field, []).append(violation)
        return found


class NoReply(Exception):
    """No reply came by the deadline. The command may have been carried out, or may still be.

    Send the same command again with the same `command_id` to get its outcome; it has one effect.

    Attributes:
        command_id: the id of the command.
        acknowledged: whether Kafka has acknowledged the command. If not, it may be on the topic nevertheless.
    """

    def __init__(self, command_id: str, acknowledged: bool, reason: str) -> None:
        super().__init__(f"command {command_id}: {reason}")
        self.command_id = command_id
        self.acknowledged = acknowledged
