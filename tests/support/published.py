"""Validates records against the published files: their values, and their headers as the AsyncAPI document has them."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Protocol

import jsonschema_rs
import orjson

from triptych.contract.publishing.publish import ASYNCAPI, PUBLISHED


class PublishedRecord(Protocol):
    """What of a record of Kafka is validated."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> Any: ...
    @property
    def value(self) -> Any: ...
    @property
    def headers(self) -> Any: ...


def problems_of_record(channel: str, record: PublishedRecord) -> Iterator[str]:
    """What is wrong with a record of ours on a channel, such as `events`: its place, the field and the rule."""
    place = f"{record.topic}[{record.partition}]@{record.offset}"
    headers = {name: value.decode() for name, value in record.headers}
    schema = schema_of(channel, headers.get("ce_type"), record.key)
    if schema is None:
        yield f"{place}: no published message has the type {headers.get('ce_type')!r}"
        return
    # AsyncAPI does not count it among the headers of a message.
    if (content_type := headers.pop("content-type", None)) != _document()["defaultContentType"]:
        yield f"{place}: {schema}: the content type is {content_type}"
    if channel != "galleries":
        for problem in _found(_of_headers(schema), headers):
            yield f"{place}: {schema}: headers {problem}"
    elif headers:
        yield f"{place}: {schema}: headers {sorted(headers)} are not published"
    if record.value is not None:
        for problem in problems_of(schema, orjson.loads(record.value)):
            yield f"{place}: {schema}: {problem}"
    elif channel != "galleries":
        yield f"{place}: {schema}: no value"


def problems_of(schema: str, value: Any, *, is_whole: bool = True) -> list[str]:
    """What is wrong with a value under a published schema, such as `replies/Reply.json`.

    A field that the schema does not name is wrong too, although readers have to accept it: whatever we write is
    published. A value that is not whole may lack fields.
    """
    return list(_found(_of_value(schema, is_whole), value))


def schema_of(channel: str, event_type: str | None, key: bytes | None) -> str | None:
    """The published schema of a message by its CloudEvents type; of a joined record, which has none, by its key."""
    if channel == "galleries":
        return f"galleries/{'ItemRecord' if b'/' in (key or b'') else 'GalleryRecord'}.json"
    name = _names().get((channel, event_type or ""))
    return None if name is None else f"{channel}/{name}.json"


def _found(validator: Any, value: Any) -> Iterator[str]:
    for error in validator.iter_errors(value):
        yield f"{'.'.join(map(str, error.instance_path)) or 'root'}: {error.message}"


@cache
def _document() -> Mapping[str, Any]:
    document: Mapping[str, Any] = orjson.loads((PUBLISHED / ASYNCAPI).read_bytes())
    return document


@cache
def _names() -> Mapping[tuple[str, str], str]:
    """The name of each message by its channel and its CloudEvents type."""
    messages = _document()["components"]["messages"]
    return {
        (channel, messages[name]["headers"]["properties"]["ce_type"]["const"]): name
        for channel, described in _document()["channels"].items()
        for name in described["messages"]
        if "headers" in messages[name]
    }


@cache
def _of_headers(schema: str) -> Any:
    name = schema.split("/")[1].removesuffix(".json")
    headers = _document()["components"]["messages"][name]["headers"]
    return jsonschema_rs.validator_for(_strict(headers, is_whole=True))


@cache
def _of_value(schema: str, is_whole: bool) -> Any:
    read = orjson.loads((PUBLISHED / schema).read_bytes())
    return jsonschema_rs.validator_for(_strict(read, is_whole=is_whole), validate_formats=is_whole)


def _strict(schema: Any, *, is_whole: bool) -> Any:
    """The schema that refuses fields that it does not name, and requires none if the value is not whole."""
    if isinstance(schema, list):
        return [_strict(one, is_whole=is_whole) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(one, is_whole=is_whole) for key, one in schema.items()}
    if isinstance(made.get("properties"), dict) and "type" in made:
        made.setdefault("additionalProperties", False)
    if not is_whole and isinstance(made.get("required"), list):
        del made["required"]
    return made
