"""A stand-in for a schema registry, as Confluent's API reference describes it: paths, statuses and error codes."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from triptych.contract.publishing.compatibility import compare

LEVELS = ("NONE", *(f"{name}{form}" for name in ("BACKWARD", "FORWARD", "FULL") for form in ("", "_TRANSITIVE")))
_VERSIONS = re.compile(r"/subjects/([^/]+)/versions")
_SUBJECT = re.compile(r"/subjects/([^/]+)")
_CONFIG = re.compile(r"/config/([^/]+)")
_COMPATIBILITY = re.compile(r"/compatibility/subjects/([^/]+)/versions/latest")


class Refused(Exception):
    """An error answer: the status is in the first three digits of the code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class SchemaRegistry:
    """Stores JSON Schemas by subject. `user` and `password` are needed if they are set.

    `requests` are the method and path of each request; `forced` is an answer that replaces all others.
    """

    def __init__(self, user: str = "", password: str = "") -> None:
        self.subjects: dict[str, list[str]] = {}
        self.levels: dict[str, str] = {}
        self.ids: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self.forced: tuple[int, str] | None = None
        self._credentials = base64.b64encode(f"{user}:{password}".encode()).decode() if user else None

    def answer(self, method: str, target: str, authorization: str | None, body: bytes) -> tuple[int, str]:
        """Status and JSON text of the answer to a request."""
        self.requests.append((method, target))
        if self.forced is not None:
            return self.forced
        if self._credentials is not None and authorization != f"Basic {self._credentials}":
            return 401, json.dumps({"error_code": 401, "message": "Unauthorized"})
        try:
            return 200, json.dumps(self._found(method, urlsplit(target).path, json.loads(body) if body else {}))
        except Refused as refused:
            return int(str(refused.code)[:3]), json.dumps({"error_code": refused.code, "message": str(refused)})

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that change something."""
        return [
            (method, target)
            for method, target in self.requests
            if method == "PUT" or (method == "POST" and _VERSIONS.fullmatch(urlsplit(target).path))
        ]

    def _found(self, method: str, path: str, body: dict[str, Any]) -> Any:
        match method:
            case "GET" if path == "/config":
                return {"compatibilityLevel": "BACKWARD"}
            case "GET" if path == "/subjects":
                return sorted(self.subjects)
            case "GET" if found := _CONFIG.fullmatch(path):
                return {"compatibilityLevel": self._level(unquote(found[1]))}
            case "PUT" if found := _CONFIG.fullmatch(path):
                if body["compatibility"] not in LEVELS:
                    raise Refused(42203, "Invalid compatibility level")
                self.levels[unquote(found[1])] = body["compatibility"]
                return body
            case "POST" if found := _VERSIONS.fullmatch(path):
                return {"id": self._register(unquote(found[1]), _schema_of(body))}
            case "POST" if found := _COMPATIBILITY.fullmatch(path):
                versions = self._versions(unquote(found[1]))
                messages = self._objections(unquote(found[1]), _schema_of(body), versions[-1:])
                return {"is_compatible": not messages, "messages": messages}
            case "POST" if found := _SUBJECT.fullmatch(path):
                return self._version(unquote(found[1]), _schema_of(body))
        raise Refused(404, "HTTP 404 Not Found")

    def _level(self, subject: str) -> str:
        if subject not in self.levels:
            raise Refused(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return self.levels[subject]

    def _versions(self, subject: str) -> list[str]:
        if subject not in self.subjects:
            raise Refused(40401, f"Subject '{subject}' not found.")
        return self.subjects[subject]

    def _version(self, subject: str, schema: str) -> dict[str, Any]:
        versions = self._versions(subject)
        if schema not in versions:
            raise Refused(40403, "Schema not found")
        number = versions.index(schema) + 1
        return {"subject": subject, "id": self.ids[schema], "version": number, "schema": schema, "schemaType": "JSON"}

    def _register(self, subject: str, schema: str) -> int:
        versions = self.subjects.get(subject, [])
        if schema not in versions:
            is_transitive = self.levels.get(subject, "BACKWARD").endswith("_TRANSITIVE")
            if messages := self._objections(subject, schema, versions if is_transitive else versions[-1:]):
                raise Refused(409, f"Schema being registered is incompatible with an earlier schema: {messages}")
            self.subjects.setdefault(subject, []).append(schema)
        return self.ids.setdefault(schema, len(self.ids) + 1)

    def _objections(self, subject: str, schema: str, versions: list[str]) -> list[str]:
        level, new, found = self.levels.get(subject, "BACKWARD"), json.loads(schema), list[str]()
        for old in map(json.loads, versions):
            if level.startswith(("FORWARD", "FULL")):
                found += [f"{broken.field} {broken.rule}" for broken in compare(old, new, "output")]
            if level.startswith(("BACKWARD", "FULL")):
                found += [f"{broken.field} {broken.rule}" for broken in compare(old, new, "input")]
                # Confluent refuses this in schemas that allow unknown fields: old data may have it with another type.
                added = new.get("properties", {}).keys() - old.get("properties", {}).keys()
                found += [f"{name} PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL" for name in sorted(added)]
        return found

    def client(self) -> httpx.AsyncClient:
        """A client whose requests this registry answers without a network."""

        def handle(request: httpx.Request) -> httpx.Response:
            target = request.url.raw_path.decode()
            authorization = request.headers.get("authorization")
            status, text = self.answer(request.method, target, authorization, request.content)
            return httpx.Response(status, text=text)

        return httpx.AsyncClient(transport=httpx.MockTransport(handle))


def _schema_of(body: dict[str, Any]) -> str:
    """The text of the schema in a request. Without a type, a registry takes it for Avro."""
    if body.get("schemaType") != "JSON":
        raise Refused(42201, "Invalid schema")
    try:
        is_object = isinstance(json.loads(body["schema"]), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise Refused(42201, "Invalid schema")
    return str(body["schema"])


@contextmanager
def serving(registry: SchemaRegistry) -> Iterator[str]:
    """Serve a registry on a port of this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, text = registry.answer(self.command, self.path, self.headers.get("authorization"), body)
            self.send_response(status)
            self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
