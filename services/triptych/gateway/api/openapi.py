"""Completes FastAPI's OpenAPI document: adds the bodies that endpoints read from bytes, security and headers."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from triptych.gateway.access.auth import KEY_HEADER, SITE_HEADER
from triptych.gateway.api.parameters import IDEMPOTENCY_HEADER
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER

# Requests and responses share models, but require different fields; the suffix distinguishes the two schemas.
ABOUT_ALL_SITES = {"dead-letters", "system"}
"""Tags of operations that take no site."""
_REF = "#/components/schemas/{model}Input"


def operation_id(route: APIRoute) -> str:
    """The operation id of a route, such as `createGallery`, from the name of its function."""
    return to_camel(route.name)


def json_body(kind: type[BaseModel], example: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """`openapi_extra` of an endpoint that takes this body."""
    content = {"schema": {"$ref": _REF.format(model=kind.__name__)}, "example": example}
    return {"requestBody": {"required": required, "content": {"application/json": content}}}


def complete_openapi(app: FastAPI, bodies: Iterable[type[BaseModel]]) -> None:
    """Define the `bodies` that `json_body` refers to, and drop FastAPI's 422 responses, which never occur.

    The document is made when it is first asked for. Making it takes a third of a second, and few processes need it.
    """
    of_framework = app.openapi

    @cache
    def completed() -> dict[str, Any]:
        document = of_framework()
        _complete(document, bodies)
        return document

    app.openapi = completed  # type: ignore[method-assign]  # as FastAPI documents


def _complete(document: dict[str, Any], bodies: Iterable[type[BaseModel]]) -> None:
    _, definitions = models_json_schema([(kind, "validation") for kind in bodies], ref_template=_REF)
    schemas = document["components"]["schemas"]
    # Client generators name a type by its title, and leave out operations whose types share a title.
    schemas.update(
        {f"{name}Input": {**schema, "title": f"{name}Input"} for name, schema in definitions["$defs"].items()}
    )
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": KEY_HEADER}}
    for path in document["paths"].values():
        for method, operation in path.items():
            if _is_of_framework(operation["responses"].get("422", {})):
                del operation["responses"]["422"]
            operation["security"] = [{"key": []}]
            of_all_sites = ABOUT_ALL_SITES.intersection(operation.get("tags", ()))
            headers = () if of_all_sites else _headers(operation["responses"])
            operation["parameters"] = [*operation.get("parameters", ()), *headers]
            if method != "get":
                # Other writes than those to galleries name no If-Match, and refuse it: nothing there has an entity tag.
                operation["responses"].setdefault("412", _precondition_failed(operation["responses"]))


def _is_of_framework(response: Mapping[str, Any]) -> bool:
    """Whether FastAPI added this response by default; the gateway answers 400 to wrong parameters."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")


def _precondition_failed(responses: Mapping[str, Any]) -> dict[str, Any]:
    """The response to a condition that cannot be met; it has the shape of every failure."""
    return {**responses["409"], "description": HTTPStatus.PRECONDITION_FAILED.phrase}


def _headers(responses: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The headers that an operation reads (see `dependencies`); its possible statuses show which."""
    yield _header(SITE_HEADER, "The site, for keys that are not bound to one.")
    if "304" in responses or "504" in responses:
        yield _header(CONSISTENT_HEADER, "The value of this header in an earlier response.")
    if "304" in responses:
        yield _header("If-None-Match", "The ETag of the client's copy.")
    if "504" in responses:
        yield _header(IDEMPOTENCY_HEADER, "Requests with the same key have one effect and one outcome.")
    if "412" in responses:
        yield _header("If-Match", "The ETag of the gallery that the write is meant for.")


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
