"""The bodies of failures."""

from typing import Any

import orjson
import pytest

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import ErrorCode, ReplyError, Violation
from triptych.gateway.api.items import request_path
from triptych.gateway.http.errors import (
    ApplicationFailure,
    HttpFailure,
    InvalidRequest,
    bad_header,
    not_found,
    render,
    server_refusal,
)
from triptych.gateway.writing.rejections import failure_of

TOO_LOW = Violation(
    field="items[0].image.quality",
    description="must be at least 30",
    violated_rule=ViolatedRule.MIN,
    data={"threshold": 30},
)


def body_of(failure: HttpFailure) -> Any:
    return orjson.loads(bytes(render(failure).body))


def test_a_refusal_has_an_application_error() -> None:
    assert body_of(not_found("gallery", galleryId="g")) == {
        "message": "gallery not found",
        "details": {
            "applicationError": {"code": "NOT_FOUND", "description": "gallery not found", "data": {"galleryId": "g"}}
        },
    }


def test_invalid_input_has_every_violation() -> None:
    other = Violation(field="", description="must be JSON", violated_rule=ViolatedRule.FORMAT)
    assert body_of(InvalidRequest([TOO_LOW, other])) == {
        "message": "items[0].image.quality must be at least 30; the body must be JSON",
        "details": {
            "validationError": {
                "fieldViolations": [
                    {
                        "field": "items[0].image.quality",
                        "description": "must be at least 30",
                        "violatedRule": "MIN",
                        "data": {"threshold": 30},
                    },
                    {"field": "", "description": "must be JSON", "violatedRule": "FORMAT"},
                ]
            }
        },
    }


def test_a_fault_reveals_nothing() -> None:
    response = render(HttpFailure(503, {"Retry-After": "1"}))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert bytes(response.body) == b'{"message":"","details":{}}'


def test_a_bad_header_is_a_violation() -> None:
    assert bad_header("Idempotency-Key", "short").violations[0].field == "Idempotency-Key"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.NOT_FOUND, 404),
        (ErrorCode.ALREADY_EXISTS, 409),
        (ErrorCode.SEQUENCE_CONFLICT, 412),
        (ErrorCode.FAILED_PRECONDITION, 409),
        (ErrorCode.UNIMPLEMENTED, 400),
    ],
)
def test_rejections_keep_code_message_and_data(code: ErrorCode, status: int) -> None:
    failure = failure_of(ReplyError(code=code, message="why", data={"itemId": "i"}))
    assert isinstance(failure, ApplicationFailure)
    assert (failure.status, failure.error) == (status, {"code": code, "description": "why", "data": {"itemId": "i"}})


def test_every_400_has_a_violation() -> None:
    error = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message="items are odd", data={"field": "items[0].odd"})
    failure = failure_of(error, request_path)
    assert isinstance(failure, InvalidRequest)
    (violation,) = failure.violations
    assert (violation.field, violation.description) == ("item.odd", "is refused: items are odd")


def test_a_fault_of_the_command_service_is_not_explained() -> None:
    failure = failure_of(ReplyError(code=ErrorCode.INTERNAL, message="stack trace"))
    assert failure.status == 503
    assert body_of(failure) == {"message": "", "details": {}}


def test_paths_of_the_command_become_paths_of_the_request() -> None:
    invalid = failure_of(ReplyError(code=ErrorCode.INVALID_ARGUMENT, message="", violations=[TOO_LOW]), request_path)
    assert isinstance(invalid, InvalidRequest)
    assert invalid.violations[0].field == "item.image.quality"
    taken = failure_of(
        ReplyError(code=ErrorCode.ALREADY_EXISTS, message="", data={"field": "items[0].sortOrder"}), request_path
    )
    assert isinstance(taken, ApplicationFailure)
    assert taken.error["data"] == {"field": "item.sortOrder"}


@pytest.mark.parametrize(
    ("command", "expected"), [("items[0]", "item"), ("items", "items"), ("galleryId", "galleryId")]
)
def test_only_the_item_is_renamed(command: str, expected: str) -> None:
    assert request_path(command) == expected


@pytest.mark.parametrize(
    ("status", "details"),
    [(400, "validationError"), (408, "applicationError"), (431, "applicationError"), (503, None)],
)
def test_the_http_server_refuses_in_the_same_shape(status: int, details: str | None) -> None:
    response = server_refusal(status, "why")
    body = orjson.loads(response.body)
    assert list(body["details"]) == ([details] if details else [])
    assert ("why" in body["message"]) == (details is not None)


def test_each_refusal_of_the_http_server_has_a_request_id_of_its_own() -> None:
    ids = {server_refusal(431, "why").headers["X-Wix-Request-Id"] for _ in range(2)}
    assert [len(request_id) for request_id in ids] == [36, 36]
