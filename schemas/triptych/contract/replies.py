"""Models of the replies to commands: accepted with its result, or rejected with its reason."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from triptych.contract.base import ViolatedRule, WireModel

REPLY_TYPE = "triptych.reply.v1"
"""The CloudEvents type of a reply."""


MESSAGE_MAX = 200
"""Characters of the message in a shortened reply."""


class ErrorCode(StrEnum):
    """Why a command was rejected."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    """An earlier command with the same site, source and id belongs to another request."""
    SEQUENCE_CONFLICT = "SEQUENCE_CONFLICT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"


class Violation(WireModel):
    """A rule that one field breaks; `field` is its path in the request (contract, section 5)."""

    field: str
    description: str
    violated_rule: ViolatedRule
    data: dict[str, Any] | None = None


class ReplyError(WireModel):
    """Why a command was rejected; `violations` are present with INVALID_ARGUMENT."""

    code: ErrorCode
    message: str
    violations: list[Violation] = Field(default_factory=list)
    data: dict[str, Any] = Field(default_factory=dict)


class Reply(WireModel):
    """The outcome of a command; `sequence` is the gallery's sequence after it."""

    command_id: str
    outcome: Literal["accepted", "rejected"]
    gallery_id: str | None = None
    sequence: int | None = None
    item_ids: list[str] | None = None
    error: ReplyError | None = None

    def shortened(self) -> "Reply":
        """The outcome without its lists, for a topic that refuses a record of the full size."""
        error = self.error
        if error is not None:
            error = ReplyError(code=error.code, message=error.message[:MESSAGE_MAX])
        return self.model_copy(update={"item_ids": None, "error": error})
