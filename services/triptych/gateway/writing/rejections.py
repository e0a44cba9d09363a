"""Translates the rejection of a command to the failure of an HTTP request."""

from collections.abc import Callable, Mapping

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import ErrorCode, Reply, ReplyError, Violation
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, InvalidRequest

_FAILS_ALL = (ErrorCode.IDEMPOTENCY_KEY_REUSED, ErrorCode.SEQUENCE_CONFLICT, ErrorCode.NOT_FOUND)

Rename = Callable[[str], str]
"""Turns the path of a field in the command into its path in the REST request."""

_STATUSES: Mapping[ErrorCode, int] = {
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    # draft-ietf-httpapi-idempotency-key-header, section 2.7
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    # Over HTTP, only If-Match expects a sequence (RFC 9110, section 13.1.1).
    ErrorCode.SEQUENCE_CONFLICT: 412,
    ErrorCode.FAILED_PRECONDITION: 409,
    ErrorCode.UNIMPLEMENTED: 400,
}


def same_path(field: str) -> str:
    """The `Rename` of commands whose field paths are the same in the request."""
    return field


def failure_of(error: ReplyError, rename: Rename = same_path) -> HttpFailure:
    """The failure that reports a rejection to the client. An internal error of the command service is a 503."""
    if error.code not in _STATUSES:
        return HttpFailure(503)
    if error.code is ErrorCode.INVALID_ARGUMENT:
        # Every 400 has at least one violation (contract, section 5).
        violations = error.violations or [_violation_of(error)]
        renamed = [violation.model_copy(update={"field": rename(violation.field)}) for violation in violations]
        return InvalidRequest(renamed)
    data = dict(error.data)
    if isinstance(field := data.get("field"), str):
        data["field"] = rename(field)
    return ApplicationFailure(_STATUSES[error.code], error.code.value, error.message, data)


def _violation_of(error: ReplyError) -> Violation:
    field = error.data.get("field")
    return Violation(
        field=field if isinstance(field, str) else "",
        description=f"is refused: {error.message}",
        violated_rule=ViolatedRule.CUSTOM,
    )


def key_reused() -> HttpFailure:
    """The failure for an idempotency key that was used before, for another request."""
    code = ErrorCode.IDEMPOTENCY_KEY_REUSED
    return failure_of(ReplyError(code=code, message="the idempotency key belongs to another request"))


def raise_if_fails_all(outcome: Reply | HttpFailure) -> None:
    """Raise the failure of the first of several commands, if it applies to all of them."""
    if isinstance(outcome, Reply) and outcome.error is not None and outcome.error.code in _FAILS_ALL:
        raise failure_of(outcome.error)
