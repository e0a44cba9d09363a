"""Defines the failures of requests, and renders them as the bodies of the contract, section 5."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import Violation
from triptych.contract.violations import violations_of
from triptych.gateway.http.methods import allowed_methods
from triptych.gateway.http.request_ids import REQUEST_ID_HEADER, new_request_id
from triptych.gateway.http.responses import JsonAnswer
from triptych.kit.failures import Fault, fault_of
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import PyMongoError
from triptych.kit.process.http_bounds import RefusalResponse

log = get_logger(__name__)

RETRY_AFTER = {"Retry-After": "1"}
MESSAGE_MAX = 1_000

# Wix's standard codes are those of gRPC. Any other 4xx status of the frameworks becomes INVALID_ARGUMENT.
_CODES = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}


class HttpFailure(Exception):
    """Ends a request with a status other than 200. Its body must not reveal more than the client may know."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The body of the response; empty of information, since the fault is not the client's."""
        return {"message": "", "details": {}}


class ApplicationFailure(HttpFailure):
    """The request is valid, and cannot be carried out."""

    def __init__(
        self,
        status: int,
        code: str,
        description: str,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, headers)
        self.error = {"code": code, "description": description, "data": dict(data or {})}

    def body(self) -> dict[str, Any]:
        """The body of the response, with an `applicationError`."""
        return {"message": self.error["description"], "details": {"applicationError": self.error}}


class InvalidRequest(HttpFailure):
    """The request breaks rules; the failure has every known violation."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(400)
        self.violations = violations

    def body(self) -> dict[str, Any]:
        """The body of the response, with a `validationError`."""
        message = "; ".join(f"{violation.field or 'the body'} {violation.description}" for violation in self.violations)
        return {
            "message": message[:MESSAGE_MAX],
            "details": {"validationError": {"fieldViolations": [violation.to_wire() for violation in self.violations]}},
        }


def not_found(what: str, **ids: str) -> ApplicationFailure:
    """The failure for a gallery or an item that does not exist, or belongs to another site."""
    return ApplicationFailure(404, "NOT_FOUND", f"{what} not found", ids)


def bad_header(name: str, expected: str) -> InvalidRequest:
    """The failure for a header that cannot be used."""
    return InvalidRequest(
        [
            Violation(
                field=name,
                description=f"must be {expected}",
                violated_rule=ViolatedRule.FORMAT,
                data={"expected": expected},
            )
        ]
    )


def render(failure: HttpFailure) -> Response:
    """The response for a failure."""
    return JsonAnswer(failure.body(), status_code=failure.status, headers=dict(failure.headers))


def server_refusal(status: int, text: str) -> RefusalResponse:
    """The failure response that the HTTP server sends without calling the application."""
    return RefusalResponse(bytes(render(_server_failure(status, text)).body), {REQUEST_ID_HEADER: new_request_id()})


def _server_failure(status: int, text: str) -> HttpFailure:
    if status == HTTPStatus.BAD_REQUEST:
        violation = Violation(field="", description=f"cannot be read: {text}", violated_rule=ViolatedRule.FORMAT)
        return InvalidRequest([violation])
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HttpFailure(status)
    code = "RESOURCE_EXHAUSTED" if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE else "DEADLINE_EXCEEDED"
    return ApplicationFailure(status, code, text)


def install_handlers(app: FastAPI) -> None:
    """Give every failure of the application, and those of the frameworks below it, the contract's body."""

    @app.exception_handler(HttpFailure)
    async def known_failure(_request: Request, failure: HttpFailure) -> Response:
        return render(failure)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> Response:
        violations = _violations_of_parameters(error)
        if request.method == "PATCH":
            violations = _as_in_body(violations, str(request.scope["route"].path))
        return render(InvalidRequest(violations))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        code, description = _CODES.get(error.status_code, "INVALID_ARGUMENT"), HTTPStatus(error.status_code).phrase
        if error.status_code == HTTPStatus.BAD_REQUEST:
            return render(
                InvalidRequest([Violation(field="", description=error.detail, violated_rule=ViolatedRule.FORMAT)])
            )
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed_methods(app.routes, request.scope)
        return render(ApplicationFailure(error.status_code, code, description.lower(), headers=headers))

    @app.exception_handler(PyMongoError)
    async def database(request: Request, error: PyMongoError) -> Response:
        if fault_of(error) is Fault.OURS:
            raise error
        log.warning("MongoDB does not answer", request_id=request.state.request_id, error=error)
        return render(HttpFailure(503, RETRY_AFTER))


def _violations_of_parameters(error: RequestValidationError) -> list[Violation]:
    """The violations in FastAPI's errors, whose paths start with the parameter's location ("query", "path")."""
    details: list[InitErrorDetails] = []
    for problem in error.errors():
        kind, context = problem["type"], problem.get("ctx", {})
        if kind in ViolatedRule.__members__:
            kind = PydanticCustomError(kind, problem["msg"], context)
        details.append(InitErrorDetails(type=kind, loc=problem["loc"][1:], input=problem["input"], ctx=context))
    return violations_of(ValidationError.from_exception_data("request", details))


def _as_in_body(violations: Sequence[Violation], route: str) -> list[Violation]:
    """The violations of a PATCH: the client sees the last id of the path as an id in the body (contract, section 5)."""
    changed = "itemId" if route.endswith("{itemId}") else "galleryId"
    renamed = f"{changed.removesuffix('Id')}.id"
    return [
        violation.model_copy(update={"field": renamed}) if violation.field == changed else violation
        for violation in violations
    ]
