"""Reads an OpenAPI document: its operations with their inputs, and whether a response is a documented one."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import Mock

import httpx
import jsonschema_rs

from triptych.contract.topics import Topics
from triptych.gateway.app import PREFIXES, make_app
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.health import Health

JSON = "application/json"
LINES = "application/x-ndjson"


@dataclass(frozen=True)
class InputField:
    """An input of an operation: `where` is `path`, `query`, `header`, `body` (a text) or `number` (in the body)."""

    where: str
    name: str


class Operation:
    """One operation of a document."""

    def __init__(self, document: Mapping[str, Any], method: str, path: str) -> None:
        self.method, self.path = method.upper(), path
        self._document = document
        self._described: Mapping[str, Any] = document["paths"][path][method]
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        content = self._described.get("requestBody", {}).get("content", {})
        self._body: Mapping[str, Any] = content.get(JSON, {})
        self.example: Any = self._body.get("example")
        """An example of its body; None if it has no body."""
        self.lines: str | None = content.get(LINES, {}).get("example")
        """An example of its body, if it has lines."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def input_fields(self) -> Iterator[InputField]:
        """The parameters, and the texts and numbers on the first level of the body."""
        for parameter in self._described.get("parameters", ()):
            yield InputField(parameter["in"], parameter["name"])
        if self._body:
            kind = self._body["schema"]["$ref"].rpartition("/")[2]
            for name, schema in self._document["components"]["schemas"][kind]["properties"].items():
                types = {one.get("type") for one in schema.get("anyOf", [schema])}
                if "integer" in types:
                    yield InputField("number", name)
                elif "string" in types:
                    yield InputField("body", name)

    @property
    def required_query(self) -> list[str]:
        """The parameters without which a request is refused."""
        found = self._described.get("parameters", ())
        return [one["name"] for one in found if one["in"] == "query" and one.get("required")]

    @property
    def is_write(self) -> bool:
        """Whether the operation sends a command, which may get no reply in time (504)."""
        return "504" in self._described["responses"]

    def fault_of(self, answer: httpx.Response) -> str | None:
        """Why a response is wrong; None if its status is documented and its body has the documented shape."""
        status = str(answer.status_code)
        described = self._described["responses"].get(status)
        if described is None:
            return "the status is not documented"
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        content = described.get("content", {})
        if not content:
            return None
        if media_type not in content:
            return f"{media_type or 'no media type'} is not documented"
        if media_type != JSON:
            return None
        try:
            body = json.loads(answer.content)
        except ValueError:
            return "the body is not JSON"
        if status not in self._validators:
            schema = {**content[JSON]["schema"], "components": self._document["components"]}
            self._validators[status] = jsonschema_rs.validator_for(schema)
        for error in self._validators[status].iter_errors(body):
            return f"the body is not as documented: {error.message}"
        return _fault_of_failure(answer.status_code, body)


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """All operations of a document."""
    return [Operation(document, method, path) for path, methods in document["paths"].items() for method in methods]


@cache
def of_gateway() -> Mapping[str, Any]:
    """The document that a gateway serves; no server is needed to make it."""
    return make_app(Mock(settings=GatewaySettings()), Health(), Topics("triptych.")).openapi()


async def check_status(answer: httpx.Response) -> None:
    """Raise AssertionError if the operation that answered does not document the status. A hook of an HTTP client."""
    method, path = answer.request.method.lower(), answer.request.url.path
    for prefix in PREFIXES:
        if path.startswith(f"{prefix}/"):
            path = PREFIXES[0] + path.removeprefix(prefix)
    for pattern, statuses in _statuses().get(method, ()):
        if pattern.fullmatch(path):
            assert str(answer.status_code) in statuses, f"{method} {path} answers {answer.status_code}: {statuses}"
            return


@cache
def _statuses() -> Mapping[str, Sequence[tuple[re.Pattern[str], frozenset[str]]]]:
    """The documented statuses of each operation, by method, with a pattern of its path; fixed paths come first."""
    found: dict[str, list[tuple[re.Pattern[str], frozenset[str]]]] = {}
    for path, methods in sorted(of_gateway()["paths"].items(), key=lambda one: one[0].count("{")):
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for method, described in methods.items():
            found.setdefault(method, []).append((pattern, frozenset(described["responses"])))
    return found


def _fault_of_failure(status: int, body: Mapping[str, Any]) -> str | None:
    """Why the body of a failure breaks the contract, section 5, although its shape is right."""
    if not 400 <= status < 500:
        return None
    details = body["details"]
    if status == 400:
        return None if details.get("validationError", {}).get("fieldViolations") else "no violation is named"
    return None if details.get("applicationError", {}).get("code") else "no application error is named"
