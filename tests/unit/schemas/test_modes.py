"""Attributes of commands mean the same in headers and in a structured body, whatever their values."""

from typing import Any

import orjson
import pytest

from tests.support.contract_examples import CREATE_ITEM, command_headers, structured
from triptych.contract.codec.cloudevents import Headers
from triptych.contract.codec.envelope import CommandEnvelope, Undecodable, decode_command

_VALUE = orjson.dumps(CREATE_ITEM)
_ABSENT: Any = object()
_STRUCTURED = ("content-type", b"application/cloudevents+json")

REFUSED = [
    *((name, "") for name in ("specversion", "id", "type", "source", "siteid", "replyto", "correlationid", "request")),
    *((name, _ABSENT) for name in ("specversion", "id", "type")),
    *((name, "x" * 256) for name in ("id", "correlationid", "request", "replyto", "siteid")),
    *((name, "a\nb") for name in ("id", "source", "correlationid", "request", "replyto", "siteid")),
    ("source", "x" * 1025),
    ("specversion", "0.3"),
    ("type", "triptych.command.v1.createitems"),
    ("siteid", " s"),
    ("siteid", "ä"),
    ("replyto", ".."),
]
READ = [
    *((name, _ABSENT) for name in ("source", "siteid", "replyto", "correlationid", "request", "traceparent")),
    *((name, text) for name in ("subject", "dataschema", "time", "traceparent", "partitionkey") for text in ("", "x")),
    ("datacontenttype", "text/xml"),
    ("source", "/shop?a=ü#1"),
    ("id", " "),
    ("siteid", "S-1_"),
    ("replyto", "r.1"),
    ("correlationid", "k"),
    ("request", "PATCH"),
]


def _binary(name: str, text: Any) -> Headers:
    headers = [header for header in command_headers() if header[0] != f"ce_{name}"]
    key = {"datacontenttype": "content-type", "traceparent": "traceparent"}.get(name, f"ce_{name}")
    return headers if text is _ABSENT else [*headers, (key, text.encode())]


def _judged(value: bytes, headers: Headers) -> CommandEnvelope | tuple[str, str]:
    try:
        return decode_command(value, headers)
    except Undecodable as undecodable:
        return undecodable.reason, undecodable.text


def _both(name: str, text: Any) -> tuple[CommandEnvelope | tuple[str, str], CommandEnvelope | tuple[str, str]]:
    attributes: dict[str, Any] = {name: None if text is _ABSENT else text}
    return _judged(_VALUE, _binary(name, text)), _judged(structured(**attributes), [_STRUCTURED])


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_both_modes_refuse_the_same_values(name: str, text: Any) -> None:
    binary, body = _both(name, text)
    assert isinstance(binary, tuple)
    assert isinstance(body, tuple)
    if (name, text) != ("specversion", _ABSENT):  # without it, each mode reports a different reason
        assert binary == body


@pytest.mark.parametrize(("name", "text"), READ)
def test_both_modes_read_the_same_value(name: str, text: Any) -> None:
    binary, body = _both(name, text)
    assert isinstance(binary, CommandEnvelope)
    assert binary == body


@pytest.mark.parametrize("name", ["source", "siteid", "replyto", "correlationid", "request"])
def test_null_is_absent(name: str) -> None:
    null: Any = None
    body = orjson.dumps(orjson.loads(structured()) | {name: None})
    headers = [*_binary(name, "first"), (f"ce_{name}", null)]
    assert _judged(_VALUE, headers) == _judged(body, [])
    assert _judged(_VALUE, headers) == _judged(_VALUE, _binary(name, _ABSENT))


@pytest.mark.parametrize("name", ["id", "type"])
def test_a_null_required_attribute_is_missing(name: str) -> None:
    null: Any = None
    body = orjson.dumps(orjson.loads(structured()) | {name: None})
    headers = [*_binary(name, _ABSENT), (f"ce_{name}", null)]
    assert _judged(_VALUE, headers) == _judged(body, []) == ("MISSING_ATTRIBUTE", f"{name} is missing")


@pytest.mark.parametrize("name", ["id", "source", "siteid", "correlationid", "replyto", "request"])
def test_the_last_of_several_headers_counts(name: str) -> None:
    once = decode_command(_VALUE, _binary(name, "last"))
    assert decode_command(_VALUE, [(f"ce_{name}", b"first"), *_binary(name, "last")]) == once
    twice = structured(**{name: "last"}).replace(b"{", f'{{"{name}":"first",'.encode(), 1)
    assert decode_command(twice, []) == once


@pytest.mark.parametrize("name", ["specversion", "id", "type", "source", "siteid", "replyto", "correlationid"])
def test_an_attribute_of_a_body_is_text(name: str) -> None:
    body = orjson.dumps(orjson.loads(structured()) | {name: 1})
    assert _judged(body, []) == ("BAD_ATTRIBUTE", f"{name} must be text")


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json", "Application/CloudEvents+JSON", " application/cloudevents+json ; Charset=UTF-8"],
)
def test_a_structured_event_ignores_the_attributes_in_headers(content_type: str) -> None:
    headers = [*command_headers(id="other", siteid="", source=""), ("content-type", content_type.encode())]
    assert decode_command(structured(), headers) == decode_command(_VALUE, command_headers())


@pytest.mark.parametrize("content_type", ["", "application/json; charset=utf-8", "TEXT/PLAIN", "a", ";", "a/b/c"])
def test_data_in_binary_mode_is_read_with_any_content_type(content_type: str) -> None:
    headers = [*command_headers(), ("content-type", content_type.encode()), ("ce_datacontenttype", b"x")]
    assert decode_command(_VALUE, headers) == decode_command(_VALUE, command_headers())


@pytest.mark.parametrize("content_type", ["application/cloudevents-batch+json", "application/cloudevents+avro"])
def test_other_event_formats_are_refused_by_name(content_type: str) -> None:
    text = "events are read in the format application/cloudevents+json alone"
    for headers in ([], command_headers()):
        given = [*headers, ("content-type", content_type.encode())]
        assert _judged(structured(), given) == ("NOT_A_CLOUDEVENT", text)


def test_header_names_may_have_escaped_bytes() -> None:
    headers = [("gr\udcf6\udcdfe", b"1"), ("ce_\udcff", b"1"), *command_headers()]
    assert decode_command(_VALUE, headers) == decode_command(_VALUE, command_headers())
    unreadable = _judged(_VALUE, [("ce_\udcff", b"\xff"), *command_headers()])
    assert isinstance(unreadable, tuple)
    assert unreadable[0] == "NOT_UTF8"
    unreadable[1].encode()
