"""Tests the administration over HTTP: shapes, rules, scopes and the isolation of sites."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.installation import Installation, open_installation
from tests.support.listeners_api import UNKNOWN, client_of_gateway, create
from tests.support.product import running_gateway
from triptych.devstack.stack import Addresses
from triptych.gateway.access.keys import store_key

# All on one gateway, which takes a second of processor time to start.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("webhooks-http")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stack: Addresses) -> AsyncIterator[Installation]:
    """An installation for tests that sites keep apart."""
    async with open_installation(stack) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(shared: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway on it."""
    async with client_of_gateway(shared) as client:
        yield client


@pytest.fixture
def client(shared_gateway: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same, with a site that no other test uses."""
    shared_gateway.headers["wix-site-id"] = uuid.uuid4().hex
    return shared_gateway


async def test_a_listener_from_its_creation_to_its_end(client: httpx.AsyncClient) -> None:
    created = await create(client, description="shop")
    listener, secret = created["listener"], created["secret"]
    path = f"/listeners/{listener['id']}"
    assert secret.startswith("whsec_")
    assert (listener["status"], listener["format"], listener["retryProfile"]) == ("active", "standard-hmac", "standard")
    for answer in (await client.get(path), await client.get("/listeners")):
        assert answer.status_code == 200
        assert secret not in answer.text
    assert (await client.get("/listeners")).json() == {"listeners": [listener], "cursor": None}

    changed = await client.patch(path, json={"listener": {"timeoutSeconds": 3, "galleryIds": [UNKNOWN]}})
    assert changed.json()["listener"]["timeoutSeconds"] == 3
    assert changed.json()["listener"]["galleryIds"] == [UNKNOWN]
    assert (await client.post(f"{path}/pause")).json()["listener"]["status"] == "paused"
    assert (await client.post(f"{path}/resume")).json()["listener"]["status"] == "active"
    rotated = (await client.post(f"{path}/rotate-secret", json={"overlapSeconds": 60})).json()
    assert rotated["secret"] != secret
    assert len(rotated["listener"]["keyIds"]) == 2
    assert (await client.get(f"{path}/public-key")).status_code == 404
    assert (await client.delete(path)).json() == {"listenerId": listener["id"]}
    for answer in (
        await client.get(path),
        await client.delete(path),
        await client.post(f"{path}/pause"),
    ):
        assert answer.status_code == 404
        assert answer.json()["details"]["applicationError"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("dialect", ["wix-jwt", "standard-ed25519"])
async def test_public_keys_can_be_downloaded(client: httpx.AsyncClient, dialect: str) -> None:
    created = await create(client, format=dialect)
    answer = await client.get(f"/listeners/{created['listener']['id']}/public-key")
    assert answer.text == created["publicKey"]
    assert answer.text.startswith("-----BEGIN PUBLIC KEY-----")
    # Only public halves are shown.
    rotated = (await client.post(f"/listeners/{created['listener']['id']}/rotate-secret")).json()
    for shown in (created, rotated):
        assert shown["secret"] is None
        assert "PRIVATE" not in str(shown)
        assert "whsk_" not in str(shown)
        assert (shown["verificationKey"] or "whpk_").startswith("whpk_")
    assert (created["verificationKey"] is not None) == (dialect == "standard-ed25519")
    # By default the old key stays valid for a day.
    assert len(rotated["listener"]["keyIds"]) == 2


async def test_a_write_that_expects_a_tag_is_refused(client: httpx.AsyncClient) -> None:
    created = await create(client)
    path = f"/listeners/{created['listener']['id']}"
    for headers in ({"If-Match": '"1"'}, {"If-Match": 'W/"1", "2"'}, {"If-None-Match": "*"}):
        for method, url in (("POST", "/listeners"), ("PATCH", path), ("DELETE", path), ("POST", f"{path}/pause")):
            refused = await client.request(method, url, json={"listener": {}}, headers=headers)
            assert refused.status_code == 412, (method, url, headers)
            assert refused.json()["details"]["applicationError"]["code"] == "FAILED_PRECONDITION"
    assert (await client.post(f"{path}/pause", headers={"If-Match": "*"})).status_code == 200
    assert (await client.get(path, headers={"If-Match": '"1"'})).status_code == 200


async def test_pages(client: httpx.AsyncClient) -> None:
    ids = {(await create(client))["listener"]["id"] for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2, **({} if cursor is None else {"cursor": cursor})}
        page = (await client.get("/listeners", params=query)).json()
        seen += [listener["id"] for listener in page["listeners"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert (len(seen), set(seen)) == (5, ids)


async def test_violations_have_the_form_of_the_contract(client: httpx.AsyncClient) -> None:
    answer = await client.post("/listeners", json={"listener": {"url": "ftp://x", "eventTypes": [], "rateLimit": 0}})
    assert answer.status_code == 400
    violations = answer.json()["details"]["validationError"]["fieldViolations"]
    assert {violation["field"] for violation in violations} == {
        "listener.url",
        "listener.eventTypes",
        "listener.rateLimit",
    }
    path = f"/listeners/{(await create(client))['listener']['id']}"
    for wrong in ({"ordered": True}, {"url": "nope"}):
        assert (await client.patch(path, json={"listener": wrong})).status_code == 400
    assert (await client.get("/listeners/nope")).status_code == 400
    assert (await client.post(f"{path}/replay", json={"cursor": "nope"})).status_code == 400
    assert (await client.post(f"{path}/replay", content=b"{")).status_code == 400


async def test_scopes_and_sites(client: httpx.AsyncClient, shared: Installation) -> None:
    path = f"/listeners/{(await create(client))['listener']['id']}"
    await store_key(shared.database, "no-scope", site_id=None, scopes=["read", "manage"], name="n")
    assert (await client.get(path, headers={"Authorization": "no-scope"})).status_code == 403
    assert (await client.get(path, headers={"Authorization": "wrong"})).status_code == 401
    other = {"wix-site-id": "other"}
    assert (await client.get("/listeners", headers=other)).json()["listeners"] == []
    for method, suffix in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/rotate-secret"),
        ("POST", "/replay"),
        ("POST", "/resend-dead"),
        ("GET", "/deliveries"),
        ("GET", "/public-key"),
        ("GET", "/health"),
        ("POST", "/test"),
    ]:
        assert (await client.request(method, path + suffix, headers=other)).status_code == 404, suffix
    assert (await client.patch(path, headers=other, json={"listener": {}})).status_code == 404
    assert (await client.get(path)).json()["listener"]["status"] == "active"


async def test_a_test_event_needs_a_listener_that_is_sent_to(client: httpx.AsyncClient) -> None:
    path = f"/listeners/{(await create(client))['listener']['id']}"
    sent = (await client.post(f"{path}/test")).json()["delivery"]
    assert (await client.get(f"{path}/deliveries")).json() == {"deliveries": [sent], "cursor": None}
    await client.post(f"{path}/pause")
    refused = await client.post(f"{path}/test")
    assert (refused.status_code, refused.json()["message"]) == (409, "the listener is paused; resume it first")
    assert (await client.post(f"{path}/test", params={"all": "1"})).status_code == 400
    assert (await client.post(f"{path}/test", json={})).status_code == 400


async def test_a_gateway_without_the_key_serves_everything_else(shared: Installation) -> None:
    async with running_gateway(shared) as gateway:
        answer = await gateway.client.get(f"{gateway.address}/v1/listeners")
        assert (answer.status_code, answer.json()) == (503, {"message": "", "details": {}})
        assert (await gateway.client.get("/v2/galleries")).status_code == 200
