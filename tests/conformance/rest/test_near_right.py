"""Every parameter and header of every operation gets nearly right values; every response is documented.

Request generators seldom get past the first check of a cursor or an entity tag. Each of these values is derived from
one that the product itself returned.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import quote_from_bytes

import httpx
import pytest
from cryptography.fernet import Fernet

from tests.support import near_right
from tests.support.documented import LINES, InputField, Operation, operations
from tests.support.installation import Installation
from tests.support.near_right import in_header, near
from tests.support.product import KEY, Gateway, running_product
from tests.support.raw_client import RawRequest, ask
from triptych.gateway.api.dead_letter_cursors import CURSOR_EXAMPLE, STEP_EXAMPLE
from triptych.gateway.writing.writes import COMMAND_ID_HEADER
from triptych.history.cursors import ItemPosition, write_events_cursor, write_items_cursor
from triptych.readmodel.gallery_lists import GalleryCursor
from triptych.webhooks.store.cursors import EXAMPLE

CLIENTS = 24
TRIES = 3
TEXT = {"text": {"html": "x"}}
WAITS = "X-Wix-Consistent"
# Writes read these headers too; the document does not describe them, but the standards do.
OF_WRITES = ("If-None-Match", "traceparent", "tracestate")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

# What a body has in any case, by the end of its path: without a filter, it would mean all dead letters.
NEEDED = {end: {"partition": 0} for end in ("replay-matching", "drop-matching")}

Values: TypeAlias = Mapping[str, list[bytes]]
"""Values by a parameter's name, or by `name of operation` if the name alone is ambiguous; the right value first."""


@dataclass(frozen=True)
class Case:
    """One request: one input field has this value, every other field is right."""

    operation: Operation
    input_field: InputField
    value: bytes
    ids: Values
    is_right: bool = False

    def request(self) -> RawRequest:
        """The request to send."""
        where, name = self.input_field.where, self.input_field.name
        path = self.operation.path
        for known, values in self.ids.items():
            value = self.value if (where, name) == ("path", known) else values[0]
            path = path.replace(f"{{{known}}}", quote_from_bytes(value, safe=""))
        parameters = {each: self.ids[each][0] for each in self.operation.required_query}
        if where == "query":
            parameters[name] = self.value
        query = "&".join([f"{each}={quote_from_bytes(value, safe='')}" for each, value in parameters.items()])
        headers = [(b"Authorization", KEY.encode())]
        if where == "header":
            headers.append((name.encode(), in_header(self.value)))
        body = b"" if self.operation.example is None else json.dumps(self.operation.example).encode()
        if where == "body":
            end = self.operation.path.rpartition("/")[2]
            needed = {"itemIds": [self.ids["itemId"][0].decode()]} if end == "move" else NEEDED.get(end, {})
            body = json.dumps({**needed, name: self.value.decode("utf-8", "surrogateescape")}).encode()
        elif where == "number":
            body = b'{"%b":%b}' % (name.encode(), self.value)
        if self.operation.lines is not None:
            body = self.operation.lines.encode()
            headers.append((b"Content-Type", LINES.encode()))
        elif body:
            headers.append((b"Content-Type", b"application/json"))
        return RawRequest(self.operation.method, f"{path}?{query}" if query else path, headers, body)


@dataclass
class Outcome:
    """How many cases were sent, and their faults."""

    count: int = 0
    faults: list[str] = field(default_factory=list)


@pytest.mark.timeout(150)
async def test_every_response_to_nearly_right_values_is_documented(installation: Installation) -> None:
    fields = {
        "gateway_stream_lifetime": 0.05,
        "gateway_stream_heartbeat": 0.05,
        "gateway_view_timeout": 1,
        "secrets_key": Fernet.generate_key().decode(),
    }
    async with running_product(installation, **fields) as gateway:
        document = (await gateway.client.get(f"{gateway.address}/openapi.json")).json()
        cases = await _cases(gateway, operations(document))
        outcome, left, port = Outcome(), iter(cases), int(gateway.address.rpartition(":")[2])
        await asyncio.gather(*(_send_each(port, left, outcome) for _ in range(CLIENTS)))
    assert not outcome.faults, "\n".join([f"{len(outcome.faults)} of {outcome.count}", *outcome.faults[:20]])
    assert outcome.count == len(cases)


async def _cases(gateway: Gateway, found: Sequence[Operation]) -> list[Case]:
    """All requests. Operations that share a parameter divide its odd values among them: the same code reads them."""
    shared = await _values(gateway)
    takers: dict[str, list[tuple[Operation, InputField, Values]]] = defaultdict(list)
    for operation in found:
        # Each deletion has its own gallery and its own listener.
        values = await _values(gateway) if operation.method == "DELETE" else shared
        of_writes = (InputField("header", name) for name in OF_WRITES if operation.is_write)
        for input_field in (*operation.input_fields(), *of_writes):
            takers[_key(operation, input_field, values)].append((operation, input_field, values))
    cases: list[Case] = []
    for key, each in takers.items():
        for number, (operation, input_field, values) in enumerate(each):
            right, *odd = values[key]
            cases.append(Case(operation, input_field, right, values, is_right=True))
            cases += (Case(operation, input_field, value, values) for value in odd[number :: len(each)])
    return cases


def _key(operation: Operation, input_field: InputField, values: Values) -> str:
    """The key of a parameter's values. A new parameter of the document needs its own values."""
    end = "writes" if operation.is_write else operation.path.rpartition("/")[2]
    if operation.path.endswith("/as-of/items"):
        end = "as-of"  # its cursors are not those of a gallery's items
    special = f"{input_field.name} of {end}"
    return special if special in values else input_field.name


async def _values(gateway: Gateway) -> Values:
    """Values for every parameter, derived from ids, cursors and tags that exist."""
    client = gateway.client
    made = await client.post("/v2/galleries", json={"gallery": {"items": [TEXT] * 3}})
    gallery = made.raise_for_status().json()["gallery"]
    path, item_id = f"/v2/galleries/{gallery['id']}", gallery["items"][0]["id"]
    page = await client.get(
        f"{path}/items", params={"itemLimit": 1, "cursor": ""}, headers={WAITS: made.headers[WAITS]}
    )
    subscription = {"url": "https://example.com/h", "eventTypes": ["wix.pro_gallery.gallery_v2_created"]}
    answer = await client.post(
        f"{gateway.address}/v1/listeners", json={"listener": {**subscription, "format": "standard-ed25519"}}
    )
    listener_id = answer.raise_for_status().json()["listener"]["id"]
    administration = gateway.app.state.administration
    listener = await administration.listeners.get("default", listener_id)
    delivery_id = (await administration.deliveries.send_example(listener))["_id"]
    guids = {
        "galleryId": gallery["id"],
        "cloneFromGalleryId": gallery["id"],
        **dict.fromkeys(("itemId", "itemsIds"), item_id),
        **dict.fromkeys(("before", "after"), gallery["items"][1]["id"]),
        **dict.fromkeys(("listenerId", "cursor of listeners", "cursor of listener-health"), listener_id),
        **dict.fromkeys(("deliveryId", "cursor of deliveries", "cursor of resend-dead"), delivery_id),
        "keyId": listener.keys[0].key_id,
    }
    numbers = dict.fromkeys(("limit", "partition", "offset", "itemLimit", "itemOffset", "overlapSeconds"), "1")
    tags = page.headers["ETag"]
    others: dict[str, Any] = {
        "cursor of galleries": near(str(GalleryCursor(0, gallery["id"])), near_right.GALLERY_CURSORS),
        "cursor of items": near(page.json()["nextCursor"], near_right.ITEM_CURSORS),
        "cursor of as-of": near(write_items_cursor(ItemPosition(1.5, 2)), near_right.ITEM_CURSORS),
        "cursor of history": near(write_events_cursor(2), near_right.HISTORY_CURSORS),
        "sequence": near("2", near_right.NUMBERS),
        "time": near("2026-01-01T00:00:00Z", near_right.MOMENTS),
        "order": near("oldest"),
        **dict.fromkeys(("type of history", "type of events"), near("gallery_item_created")),
        "name": near("sea", ["", "\uffff", "$a", "s" * 500]),
        "eventId": near(near_right.GUID),
        "eventType": near("wix.pro_gallery.gallery_v2_created"),
        "place": near("0-0", near_right.PLACES),
        "cursor of replay": near(EXAMPLE, near_right.EVENT_CURSORS),
        "since": near("2026-01-01T00:00:00Z", near_right.MOMENTS),
        "until": near("2026-01-01T00:00:00Z", near_right.MOMENTS),
        "to": near("start"),
        "type": near("TEXT"),
        "tag": near("sea"),
        "status": near("dead"),
        "topic": near("commands"),
        "reason": near("NOT_JSON"),
        "state": near("replayed"),
        "siteId": near("default", ["", "a.b", "$a", "s" * 200]),
        "messageId": near("m"),
        "deadLetterId": near(CURSOR_EXAMPLE, near_right.KAFKA_POSITIONS),
        "cursor of dead-letters": near(CURSOR_EXAMPLE, near_right.KAFKA_POSITIONS),
        **dict.fromkeys(
            ("cursor of replay-matching", "cursor of drop-matching"), near(STEP_EXAMPLE, near_right.STEP_CURSORS)
        ),
        "wix-site-id": near("default", ["", "a.b", "$a", "s" * 200]),
        "X-Wix-Consistent": near(made.headers[WAITS], near_right.POSITIONS),
        "If-None-Match of writes": near("*", near_right.TAGS),
        "If-None-Match": near(tags, near_right.TAGS),
        "If-Match": near(tags, near_right.TAGS),
        "Idempotency-Key": near(f"key-{item_id}", near_right.KEYS),
        "Last-Event-ID": near("0:0,1:0,2:0", near_right.STREAM_POSITIONS),
        "traceparent": near(TRACE, near_right.TRACES),
        "tracestate": near("a=1,b@c=2", near_right.STATES),
    }
    return {
        **{name: near(right, near_right.GUIDS) for name, right in guids.items()},
        **{name: near(right, near_right.NUMBERS) for name, right in numbers.items()},
        **others,
    }


async def _send_each(port: int, left: Iterator[Case], outcome: Outcome) -> None:
    for case in left:
        answer = await _answer(port, case.request())
        outcome.count += 1
        fault = case.operation.fault_of(answer) or _fault(case, answer)
        if fault is not None:
            name = case.input_field.name
            value = case.value if len(case.value) < 100 else case.value[:100] + b"..."
            outcome.faults.append(
                f"{case.operation}, {name} {value!r}: {answer.status_code} {answer.text[:200]}: {fault}"
            )


def _fault(case: Case, answer: httpx.Response) -> str | None:
    """Why a documented status is wrong nevertheless; None if it is right."""
    if answer.status_code == 503 and case.input_field.name == WAITS and "Retry-After" in answer.headers:
        return None  # the read model never shows this position
    if answer.status_code >= 500:
        return "it is the server's fault"
    is_refused = answer.status_code == 400
    return "the right value is refused" if case.is_right and is_refused else None


async def _answer(port: int, request: RawRequest) -> httpx.Response:
    answer = await ask("127.0.0.1", port, request)
    for _ in range(TRIES):
        if answer.status_code != 504 or COMMAND_ID_HEADER not in answer.headers:
            break
        # The outcome was not known in time, on a busy machine. A repetition with the same id has one effect.
        headers = [one for one in request.headers if one[0] != b"Idempotency-Key"]
        headers.append((b"Idempotency-Key", answer.headers[COMMAND_ID_HEADER].encode()))
        answer = await ask("127.0.0.1", port, replace(request, headers=headers))
    return answer
