"""Generates HTTP requests for every route: valid, unusual and broken."""

import asyncio
import random
import uuid
from typing import Any

import httpx

from tests.support.commands import TEXT
from triptych.gateway.writing.writes import COMMAND_ID_HEADER

ODD_TEXTS = (
    "",
    " ",
    "\0",
    "null",
    "true",
    "-1",
    "1e999",
    "NaN",
    "9" * 40,
    "%00",
    "ÿ",
    "💥",
    "../..",
    "x" * 5_000,
    "a|b",
)
ODD_JSON: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "x" * 2_000,
    [],
    [[]],
    {},
    {"": ""},
    {"$ref": 1},
    {"a.b": {"$date": 0}},
)
ODD_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 5_000,
    b'{"a":1e999}',
    b'{"a":"\\ud800"}',
    b'{"a":1,"a":2}',
)

TRIES = 3


class Requests:
    """A client that records requests without a proper response."""

    def __init__(self, chance: random.Random, client: httpx.AsyncClient) -> None:
        self._chance = chance
        self._client = client
        self._galleries: list[str] = []
        self._items: list[tuple[str, str]] = []
        self.unanswered: list[str] = []

    async def make(self, count: int, at_once: int) -> None:
        """Make `count` requests, `at_once` of them concurrently."""
        remaining = iter(range(count))

        async def send_remaining() -> None:
            for _ in remaining:
                await self._one()

        await asyncio.gather(*(send_remaining() for _ in range(at_once)))

    async def _one(self) -> None:
        method, path, options = self._request()
        try:
            answer = await self._client.request(method, path, **options)
            for _ in range(TRIES):
                if answer.status_code not in (503, 504):
                    break
                # The outcome was not known in time. A repetition with the same id has one effect.
                headers = [one for one in options["headers"] if one[0] != b"Idempotency-Key"]
                if command_id := answer.headers.get(COMMAND_ID_HEADER):
                    headers.append((b"Idempotency-Key", command_id.encode("latin-1")))
                answer = await self._client.request(method, path, **{**options, "headers": headers})
        except httpx.HTTPError as error:
            self.unanswered.append(f"{method} {path[:200]} {str(options)[:300]}: {error!r}")
            return
        if answer.status_code >= 500:
            self.unanswered.append(
                f"{method} {path[:200]} {str(options)[:300]}: {answer.status_code} {answer.text[:200]}"
            )
        elif answer.status_code == 200 and method == "POST":
            self._remember(answer)

    def _remember(self, answer: httpx.Response) -> None:
        try:
            found = answer.json()
        except ValueError:
            return
        if isinstance(gallery := found.get("gallery"), dict) and "id" in gallery:
            self._galleries.append(gallery["id"])
            self._items += [(gallery["id"], item["id"]) for item in gallery.get("items", ())]

    def _request(self) -> tuple[str, str, dict[str, Any]]:
        chance = self._chance
        gallery_id = chance.choice(self._galleries) if self._galleries and chance.random() < 0.9 else str(uuid.uuid4())
        item_id = str(uuid.uuid4())
        if self._items and chance.random() < 0.8:
            gallery_id, item_id = chance.choice(self._items)
        if chance.random() < 0.05:
            gallery_id = item_id = "no-guid"
        galleries, one = "/v2/galleries", f"/v2/galleries/{gallery_id}"
        items, item = f"{one}/items", f"{one}/items/{item_id}"
        page = {"limit": chance.choice([None, 0, 1, 50, 10**30, -1]), "cursor": chance.choice(ODD_TEXTS)}
        method, path, json, params = chance.choice(
            [
                ("POST", galleries, {"gallery": {"name": "N", "items": [TEXT] * chance.randrange(4)}}, None),
                ("POST", galleries, None, None),
                ("GET", galleries, None, {"limit": chance.choice([1, 2, 50])}),
                ("GET", galleries, None, page),
                ("GET", one, None, None),
                ("PATCH", one, {"gallery": {"name": "M"}}, None),
                ("DELETE", one, None, None),
                ("POST", f"{one}/publish", None, None),
                ("GET", items, None, None),
                ("GET", items, None, page),
                ("POST", items, {"item": TEXT}, None),
                ("POST", f"{items}/bulk", {"items": [TEXT, {}, {"item": 1}]}, None),
                ("GET", item, None, None),
                ("PATCH", item, {"item": {"title": "t"}}, None),
                ("DELETE", item, None, None),
                ("POST", f"{items}/move", {"itemId": item_id, "to": "start"}, None),
                ("POST", f"{items}/delete", {"itemIds": [item_id]}, None),
                ("GET", "/nowhere", None, None),
            ]
        )
        options: dict[str, Any] = {
            "params": {name: value for name, value in (params or {}).items() if value is not None}
        }
        headers: list[tuple[bytes, bytes]] = []
        if json is not None:
            options["json"] = self._disturbed(json) if chance.random() < 0.4 else json
        if method != "GET" and chance.random() < 0.1:
            options.pop("json", None)
            options["content"] = chance.choice(ODD_BODIES)
            headers.append((b"content-type", chance.choice([b"application/json", b"text/plain", b"\xff", b""])))
        if chance.random() < 0.15:
            name = chance.choice([b"If-Match", b"Idempotency-Key", b"X-Wix-Consistent", b"wix-site-id", b"traceparent"])
            headers.append(
                (name, chance.choice([b"", b"*", b'"x"', b'W/"1"', b"\xff", b"a" * 3_000, b"1:2:3,", b"x:-1"]))
            )
        return method, path, {**options, "headers": headers}

    def _disturbed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with an unexpected value or field."""
        chance = self._chance
        name, value = chance.choice(list(body.items()))
        if isinstance(value, dict) and value and chance.random() < 0.7:
            return {**body, name: self._disturbed(value)}
        return {**body, chance.choice([name, "extra"]): chance.choice(ODD_JSON)}
