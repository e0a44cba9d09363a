"""Collects what other people's tools read: every document, schema, wire example, webhook and trace context."""

import base64
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from triptych.contract.publishing import example_content as content
from triptych.contract.publishing.asyncapi import MESSAGES, asyncapi_document
from triptych.contract.publishing.example_meaning import Example
from triptych.contract.publishing.publish import ASYNCAPI, PUBLISHED
from triptych.contract.publishing.released import RELEASED, present_contract
from triptych.contract.topics import Topics
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.signing import SigningKey, read_key, standard_body, standard_request

Case = dict[str, Any]
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
TOLERANCE_SECONDS = 300
"""How far the timestamp of a webhook may be from the present (Standard Webhooks)."""


class WireExample(NamedTuple):
    """A wire example, and the name of its schema."""

    name: str
    schema: str
    example: Example

    @property
    def is_structured(self) -> bool:
        """Whether the whole CloudEvent is in the value."""
        return self.schema_folder == "commands" and "ce_specversion" not in self.example.headers

    @property
    def schema_folder(self) -> str:
        """The kind of record, such as `commands`."""
        return self.schema.split("/")[-2]

    @property
    def content(self) -> Any:
        """What the schema describes: the data of a structured event, otherwise the value."""
        return self.example.value["data"] if self.is_structured else self.example.value


def schemas() -> dict[str, Any]:
    """Every schema of the repository by its path below `schemas`."""
    found = [*PUBLISHED.glob("*/*.json"), *RELEASED.glob("*/schemas/*/*.json")]
    return {path.relative_to(PUBLISHED.parent).as_posix(): orjson.loads(path.read_bytes()) for path in sorted(found)}


@cache
def wire_examples() -> tuple[WireExample, ...]:
    """The examples of every released version and of this build, under their own schemas."""
    return tuple(_wire_examples())


def _wire_examples() -> Iterator[WireExample]:
    for path in sorted(RELEASED.glob("*/examples/*/*.json")):
        version, _, folder, file_name = path.relative_to(RELEASED).parts
        for fields in orjson.loads(path.read_bytes()):
            schema = f"{RELEASED.name}/{version}/schemas/{folder}/{file_name}"
            name = f"{version}/{folder}/{Path(file_name).stem}/{fields['name']}"
            yield WireExample(name, schema, Example(**fields))
    for file_name, examples in present_contract().examples.items():
        for example in examples:
            name = f"present/{file_name.removesuffix('.json')}/{example.name}"
            yield WireExample(name, f"{PUBLISHED.name}/{file_name}", example)


def values() -> list[Case]:
    """What every example has inside, under its own schema; old examples of other writers under the present one too."""
    listed: list[Case] = []
    present = schemas()
    for one in wire_examples():
        if one.content is None:
            continue  # a tombstone
        listed.append({"name": one.name, "schema": one.schema, "value": one.content})
        now = f"{PUBLISHED.name}/{'/'.join(one.schema.split('/')[-2:])}"
        if now in present and now != one.schema:
            listed.append({"name": f"{one.name} today", "schema": now, "value": one.content})
    return listed


def records() -> list[Case]:
    """The examples that are CloudEvents, as they are on the wire."""
    return [
        {
            "name": one.name,
            "key": one.example.key,
            "headers": dict(one.example.headers),
            "value": orjson.dumps(one.example.value).decode(),
        }
        for one in wire_examples()
        # A structured event without a content type is ours alone: for senders by hand, whom no SDK helps.
        if one.schema_folder in ("commands", "replies", "events") and one.example.headers
    ]


def commands() -> list[Case]:
    """Commands for SDKs to write: the attributes and the data of every present command."""
    types = {model.__name__: event_type for model, event_type in MESSAGES["commands"]}
    return [
        {
            "name": f"{kind}/{name}",
            "attributes": {
                "specversion": "1.0",
                "id": content.COMMAND_ID,
                "type": types[kind],
                "source": content.SOURCE,
                "siteid": content.SITE_ID,
                "correlationid": "request-1",
                "replyto": "triptych.replies",
                "datacontenttype": "application/json",
            },
            "data": dict(data),
        }
        for kind, examples in content.COMMANDS.items()
        for name, data in examples.items()
    ]


def webhooks() -> list[Case]:
    """Deliveries as the relay signs them, and what of them no receiver may accept; `genuine` says which is which."""
    now = int(time.time())
    key, new_key = (read_key(name, Format.STANDARD_HMAC, text) for name, text in (("a", SECRET), ("b", NEW_SECRET)))
    event = next(one.example.value for one in wire_examples() if one.name.startswith("present/events/ItemCreated/"))

    def signed(at: int, *keys: SigningKey) -> Case:
        request = standard_request(event["id"], standard_body(orjson.dumps(event)), keys, at)
        return {"secret": SECRET, "headers": dict(request.headers), "body": request.body.decode()}

    right, both = signed(now, key), signed(now, new_key, key)
    signature = right["headers"]["webhook-signature"]
    none_of_ours = base64.b64encode(bytes(32)).decode()
    late, early = now - TOLERANCE_SECONDS - 60, now + TOLERANCE_SECONDS + 60
    genuine = {
        "one secret": right,
        "the old secret while it is rotated": both,
        "the new secret while it is rotated": {**both, "secret": NEW_SECRET},
        "some minutes on the way": signed(now - TOLERANCE_SECONDS + 60, key),
        "a clock that is ahead": signed(now + TOLERANCE_SECONDS - 60, key),
    }
    false = {
        "another body": {**right, "body": right["body"].replace("1", "2")},
        "another id": _with(right, "webhook-id", content.GALLERY_ID),
        "another timestamp": _with(right, "webhook-timestamp", str(now - 1)),
        "another secret": {**right, "secret": NEW_SECRET},
        "another signature": _with(right, "webhook-signature", f"v1,{none_of_ours}"),
        "another version of the signature": _with(right, "webhook-signature", "v2" + signature[2:]),
        "no signature": _with(right, "webhook-signature", ""),
        "too old": signed(late, key),
        "too new": signed(early, key),
        "an old delivery with a new timestamp": _with(signed(late, key), "webhook-timestamp", str(now)),
    }
    return [
        {"name": name, "genuine": is_genuine, **case}
        for is_genuine, listed in ((True, genuine), (False, false))
        for name, case in listed.items()
    ]


def _with(case: Case, header: str, text: str) -> Case:
    return {**case, "headers": {**case["headers"], header: text}}


TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def carriers() -> list[Case]:
    """Headers with a trace context, of records and webhooks."""
    parents = {"sampled": f"00-{TRACE_ID}-{SPAN_ID}-01", "not sampled": f"00-{TRACE_ID}-{SPAN_ID}-00"}
    states = {"": None, " with a state": "congo=t61rcWkgMzE", " with states": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}
    return [
        {"name": name + more, "headers": {"traceparent": parent, **({"tracestate": state} if state else {})}}
        for name, parent in parents.items()
        for more, state in states.items()
    ]


def spans() -> list[Case]:
    """Spans whose context a propagator shall inject."""
    ids = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    states = {"": "", " with states": "rojo=00f067aa0ba902b7,tenant@congo=t61rcWkgMzE"}
    return [
        {"name": f"flags {flags}{more}", **ids, "traceFlags": flags, "traceState": state}
        for flags in (0, 1, 3)
        for more, state in states.items()
    ]


WRONG = "wrong"
"""The name of documents, schemas and values in which the tools have to find something: it shows that they look."""
_WRONG_TOPICS = '{"asyncapi":"3.0.0","info":{"title":"t"},"channels":{"c":{"messages":{"m":{"$ref":"#/gone"}}}}}'
_WRONG_REQUESTS = '{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"responses":{}}}}}'


@cache
def all_cases() -> Mapping[str, Any]:
    """Everything, as the tools read it: one process of each language reads all of it."""
    from tests.support.documented import of_gateway  # it imports the gateway, which most tests here need not do

    served = orjson.dumps(asyncapi_document(Topics("shop."))).decode()
    return {
        "asyncapi": {"published": PUBLISHED.joinpath(ASYNCAPI).read_text(), "served": served, WRONG: _WRONG_TOPICS},
        "openapi": {"served": orjson.dumps(of_gateway()).decode(), WRONG: _WRONG_REQUESTS},
        "schemas": {**schemas(), WRONG: {"typ": "object"}},
        "values": [*values(), {"name": WRONG, "schema": f"{PUBLISHED.name}/replies/Reply.json", "value": {}}],
        "records": records(),
        "commands": commands(),
        "webhooks": webhooks(),
        "carriers": carriers(),
        "spans": spans(),
    }
