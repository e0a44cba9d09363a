"""HTTP: bad requests of every kind, faults, health and documentation."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from tests.support.gateway import GALLERIES, KEY, RunningGateway, StartGateway, shared
from tests.support.installation import Installation
from tests.support.log_lines import logged
from triptych.gateway.access.keys import store_key
from triptych.gateway.app import compose
from triptych.gateway.settings import GatewaySettings
from triptych.kit.failures import StartRefused
from triptych.readmodel.queries import Views

pytestmark = shared("requests to the gateway")
JSON = {"Content-Type": "application/json"}
ITEMS = f"{GALLERIES}/4937b26c-0000-4000-8000-000000000000/items"


async def test_bodies_that_break_rules(gateway: RunningGateway) -> None:
    for path, body, fields in [
        (GALLERIES, b"{", [""]),
        (GALLERIES, b"null", [""]),
        (GALLERIES, b"[]", [""]),
        (GALLERIES, b'"\xff"', [""]),
        (GALLERIES, b'{"gallery":' * 5_000, [""]),
        (GALLERIES, b"[" * 100_000, [""]),
        (GALLERIES, b"\x00", [""]),
        (GALLERIES, b'{"gallery":{"name":"\x00"}}', [""]),
        (GALLERIES, b'{"gallery":{"name":' + b"9" * 5_000 + b"}}", [""]),
        (GALLERIES, b'{"gallery":{"sortOrder":1e999}}', ["gallery.sortOrder"]),
        (GALLERIES, b'{"gallery":{"items":[null]}}', ["gallery.items[0]"]),
        (ITEMS, b'{"item":{"text":{"html":"","css":{"a":1,"a":1}}}}', ["item.text.css"]),
        (ITEMS, b'{"item":{"text":{"html":"","css":{"a":[{"b":1e-999}]}}}}', ["item.text.css"]),
        (ITEMS, b'{"item":{"title":1,"text":{"html":"","css":{"a":1,"a":1}}}}', ["item.title", "item.text.css"]),
        (ITEMS, b'{"item":{"text":{"html":"","css":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}}}", ["item.text.css"]),
        (f"{ITEMS}/delete", b'{"itemIds":[]}', ["itemIds"]),
        (f"{ITEMS}/delete", b'{"itemIds":["x"]}', ["itemIds[0]"]),
        (f"{ITEMS}/bulk", b'{"items":[]}', ["items"]),
        (GALLERIES, rb'{"gallery":{"name":"\ud800"}}', [""]),
        (GALLERIES, b'{"gallery":{"sortOrder":NaN}}', ["gallery.sortOrder"]),
        (GALLERIES, b'{"gallery":{"sortOrder":"Infinity"}}', ["gallery.sortOrder"]),
        (GALLERIES, b'{"cloneFromGalleryId":"x","gallery":{"name":1}}', ["gallery.name", "cloneFromGalleryId"]),
        (ITEMS, b"", [""]),
        (ITEMS, b"{}", ["item"]),
        (ITEMS, b'{"item":{}}', ["item"]),
        (ITEMS, b'{"item":{"image":{"imageInfo":{"url":"data:x"}}}}', ["item.image.imageInfo.url"]),
        (
            ITEMS,
            b'{"item":{"title":1,"image":{"imageInfo":{"url":"https://e.org"},"quality":101}}}',
            ["item.title", "item.image.quality"],
        ),
    ]:
        answer = await gateway.client.post(path, content=body, headers=JSON)
        assert answer.status_code == 400, body[:80]
        violations = answer.json()["details"]["validationError"]["fieldViolations"]
        assert [found["field"] for found in violations] == fields, body[:80]


async def test_a_clone_has_no_items_of_its_own(gateway: RunningGateway) -> None:
    clone = {
        "cloneFromGalleryId": "4937b26c-0000-4000-8000-000000000000",
        "gallery": {"items": [{"text": {"html": ""}}]},
    }
    answer = await gateway.client.post(GALLERIES, json=clone)
    (violation,) = answer.json()["details"]["validationError"]["fieldViolations"]
    assert (answer.status_code, violation["field"]) == (400, "gallery.items")


async def test_requests_that_no_endpoint_takes(gateway: RunningGateway) -> None:
    for method, path, headers, status, code in [
        ("GET", "/unknown", {}, 404, "NOT_FOUND"),
        ("GET", f"{GALLERIES}/", {}, 404, "NOT_FOUND"),
        ("GET", "/v2/galleries", {}, 404, "NOT_FOUND"),
        ("PUT", GALLERIES, {}, 405, "UNIMPLEMENTED"),
        ("POST", GALLERIES, {"Content-Type": "text/plain"}, 415, "INVALID_ARGUMENT"),
        ("POST", GALLERIES, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "INVALID_ARGUMENT"),
    ]:
        answer = await gateway.client.request(method, path, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json()["details"]["applicationError"]["code"]) == (status, code)
        assert len(answer.headers["X-Wix-Request-Id"]) == 36
    answer = await gateway.client.post(GALLERIES, headers={"Idempotency-Key": "a" * 256})
    assert answer.json()["details"]["validationError"]["fieldViolations"][0]["field"] == "Idempotency-Key"


async def test_a_refusal_by_the_server_itself_is_like_any_other(gateway: RunningGateway) -> None:
    answer = await gateway.client.get(GALLERIES, headers={"X-Large": "x" * 70_000})
    assert (answer.status_code, answer.json()["details"]["applicationError"]["code"]) == (431, "RESOURCE_EXHAUSTED")
    assert len(answer.headers["X-Wix-Request-Id"]) == 36


async def test_bodies_beyond_the_limit(start_gateway: StartGateway) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b" " * 1_000

    async with start_gateway(gateway_body_limit=10_000) as gateway:
        for content in (b" " * 10_001, chunks(11), chunks(1_000)):
            answer = await gateway.client.post(GALLERIES, content=content, headers=JSON)
            assert answer.status_code == 413
            assert answer.json()["details"]["applicationError"]["data"] == {"threshold": 10_000}
        # A body at the limit is read, and is then refused because it is not JSON.
        answer = await gateway.client.post(GALLERIES, content=chunks(10), headers=JSON)
        assert answer.status_code == 400


async def test_the_size_is_refused_before_the_body_comes(start_gateway: StartGateway) -> None:
    async with start_gateway(gateway_body_limit=10_000) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = f"POST {GALLERIES} HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY}\r\nContent-Length: 99999999999\r\n\r\n"
        writer.write(head.encode())
        assert await asyncio.wait_for(reader.readline(), 10) == b"HTTP/1.1 413 Request Entity Too Large\r\n"
        writer.close()


class BrokenViews(Views):
    """Fails with an unexpected error."""

    async def list_galleries(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("a secret detail")


async def test_a_fault_reveals_nothing(gateway: RunningGateway, installation: Installation) -> None:
    whole = gateway.state
    gateway.app.state.gateway = dataclasses.replace(whole, views=BrokenViews(installation.database))
    answer = await gateway.client.get(GALLERIES)
    gateway.app.state.gateway = whole
    assert (answer.status_code, answer.json()) == (500, {"message": "", "details": {}})
    assert answer.headers["X-Wix-Request-Id"]


async def test_health_and_metrics(gateway: RunningGateway) -> None:
    await gateway.client.get(f"{GALLERIES}/4937b26c-0000-4000-8000-000000000000")
    anonymous = {"Authorization": ""}
    assert (await gateway.client.get("/health/live", headers=anonymous)).json() == {"status": "live"}
    assert (await gateway.client.get("/health/ready", headers=anonymous)).json() == {"status": "ready"}
    metrics = (await gateway.client.get("/metrics", headers=anonymous)).text
    assert 'route="/v2/galleries/{galleryId}",status="404"' in metrics


async def test_the_documentation_describes_bodies_and_failures(gateway: RunningGateway) -> None:
    assert (await gateway.client.get("/docs")).status_code == 200
    text = (await gateway.client.get("/openapi.json")).text
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    for name in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert name in schemas
    post = document["paths"]["/progallery/v2/galleries/{galleryId}/items"]["post"]
    expected = {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503, 504}
    assert set(post["responses"]) == {str(status) for status in expected}
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/CreateItemBodyInput"}
    assert schemas["CreateItemBodyInput"]["properties"] == {"item": {"$ref": "#/components/schemas/NewItemInput"}}


async def test_it_does_not_start_without_topics_or_kafka(installation: Installation) -> None:
    for fields, reason in [
        ({"topic_prefix": f"{installation.name}.none."}, "triptych provision"),
        ({"kafka_bootstrap": "127.0.0.1:1"}, "TRIPTYCH_KAFKA_BOOTSTRAP"),
    ]:
        with pytest.raises(StartRefused, match=reason):
            async with compose(installation.settings(GatewaySettings, **cast("dict[str, object]", fields))):
                pass


async def test_a_key_that_sends_too_many_requests(start_gateway: StartGateway, installation: Installation) -> None:
    await store_key(installation.database, "other", site_id=None, scopes=["read"], name="other")
    async with start_gateway(gateway_requests_per_minute=3) as gateway:
        answers = [await gateway.client.get(GALLERIES) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["details"]["applicationError"]["code"] == "RESOURCE_EXHAUSTED"
        assert 0 < int(answers[3].headers["Retry-After"]) <= 20
        assert (await gateway.client.get(GALLERIES, headers={"Authorization": "other"})).status_code == 200
        assert (await gateway.client.get(GALLERIES, headers={"Authorization": "unknown"})).status_code == 401


async def test_the_topics_are_described(gateway: RunningGateway, installation: Installation) -> None:
    page = await gateway.client.get("/asyncapi", headers={"Authorization": ""})
    assert (page.status_code, 'href="asyncapi.json"' in page.text) == (200, True)
    document = (await gateway.client.get("/asyncapi.json")).json()
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {getattr(installation.topics, name) for name in ("commands", "replies", "events", "galleries")}


async def test_the_log_names_the_client_that_a_trusted_proxy_names(
    gateway: RunningGateway, start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "Forwarded": "for=192.0.2.2"}

    async def client_in_log(asked: RunningGateway) -> str:
        caplog.clear()
        with caplog.at_level("INFO", logger="triptych.gateway"):
            assert (await asked.client.get(f"{GALLERIES}/absent", headers=headers)).status_code >= 400
        (line,) = logged(caplog.records, "a request was answered")
        client: str = line["client"]
        return client

    assert await client_in_log(gateway) == "127.0.0.1"
    async with start_gateway(gateway_trusted_proxies="127.0.0.0/8") as behind:
        assert await client_in_log(behind) == "203.0.113.9"
