"""API keys in MongoDB, and in requests."""

import uuid
from datetime import timedelta

import pytest

from tests.support.backend import Backend
from tests.support.gateway import GALLERIES, RunningGateway
from tests.support.installation import Installation
from triptych.gateway.access.keys import ApiKey, Keys, hash_key, list_keys, new_key, revoke_key, store_key


@pytest.mark.without_topics
async def test_a_stored_key_is_found_and_only_its_hash_is_stored(installation: Installation) -> None:
    keys = Keys(installation.database, timedelta(0))
    assert await keys.find("secret-1") is None
    await store_key(installation.database, "secret-1", site_id="s", scopes=["read"], name="n")
    assert await keys.find("secret-1") == ApiKey(hash_key("secret-1"), "s", frozenset({"read"}))
    (document,) = await installation.database["api_keys"].find({}).to_list(None)
    assert "secret-1" not in repr(document)


@pytest.mark.without_topics
async def test_storing_a_key_again_changes_it_and_does_not_undo_its_revocation(installation: Installation) -> None:
    keys = Keys(installation.database, timedelta(0))
    for scopes in (["read"], ["manage", "read"]):
        await store_key(installation.database, "k", site_id=None, scopes=scopes, name="n")
    assert await keys.find("k") == ApiKey(hash_key("k"), None, frozenset({"read", "manage"}))
    assert await revoke_key(installation.database, hash_key("k"))
    await store_key(installation.database, "k", site_id=None, scopes=["read"], name="n")
    assert await keys.find("k") is None


@pytest.mark.without_topics
async def test_the_list_of_keys_does_not_reveal_them(installation: Installation) -> None:
    key = new_key()
    assert key.startswith("tk_")
    assert len(key) > 40
    await store_key(installation.database, key, site_id="s", scopes=["read"], name="shop")
    assert not await revoke_key(installation.database, "0" * 64)
    assert await revoke_key(installation.database, hash_key(key))
    (entry,) = await list_keys(installation.database)
    assert (entry.key_id, entry.name, entry.site_id, entry.scopes) == (hash_key(key), "shop", "s", ("read",))
    first = entry.revoked_at
    assert first is not None
    assert await revoke_key(installation.database, hash_key(key))
    assert (await list_keys(installation.database))[0].revoked_at == first


@pytest.mark.without_topics
async def test_unknown_scopes_are_refused(installation: Installation) -> None:
    with pytest.raises(ValueError, match="admin"):
        await store_key(installation.database, "k", site_id=None, scopes=["admin"], name="n")


@pytest.mark.without_topics
async def test_a_key_is_cached_for_a_limited_time(installation: Installation) -> None:
    now = 0.0
    keys = Keys(installation.database, timedelta(seconds=5), lambda: now)
    await store_key(installation.database, "k", site_id=None, scopes=["read"], name="n")
    assert await keys.find("k") is not None
    assert await revoke_key(installation.database, hash_key("k"))
    now = 4.9
    assert await keys.find("k") is not None
    now = 5.0
    assert await keys.find("k") is None


async def test_which_requests_are_authorised(
    gateway: RunningGateway, backend: Backend, installation: Installation
) -> None:
    gallery_id = str(uuid.uuid4())
    await backend.store(gallery_id, 1, site_id="site-1")
    await store_key(installation.database, "bound", site_id="site-1", scopes=["read"], name="n")
    gallery = f"{GALLERIES}/{gallery_id}"
    for key, site, status in [
        ("", None, 401),
        ("wrong", None, 401),
        ("Bearer bound", None, 401),
        ("bound", None, 200),
        ("bound", "site-1", 200),
        ("bound", "site-2", 403),
        ("bound", "../x", 400),
    ]:
        headers = {"Authorization": key, **({} if site is None else {"wix-site-id": site})}
        answer = await gateway.client.get(gallery, headers=headers)
        assert answer.status_code == status, (key, site)
    answer = await gateway.client.post(GALLERIES, headers={"Authorization": "bound"})
    assert (answer.status_code, answer.json()["details"]["applicationError"]["code"]) == (403, "PERMISSION_DENIED")
    # Without a key the response says nothing else, not even that the request is wrong.
    answer = await gateway.client.get(f"{GALLERIES}/nope", headers={"Authorization": "wrong"})
    assert answer.json()["details"]["applicationError"]["code"] == "UNAUTHENTICATED"


async def test_any_valid_key_learns_what_it_is_allowed(gateway: RunningGateway, installation: Installation) -> None:
    await store_key(installation.database, "bound", site_id="site-1", scopes=["listeners"], name="n")
    await store_key(installation.database, "free", site_id=None, scopes=["read", "manage"], name="n")
    for key, site, scopes in (("bound", "site-1", ["listeners"]), ("free", None, ["manage", "read"])):
        answer = await gateway.client.get("/v1/key", headers={"Authorization": key})
        assert answer.json() == {"key": {"id": hash_key(key)[:16], "siteId": site, "scopes": scopes}}
    for headers, status in (
        ({"Authorization": "wrong"}, 401),
        ({"Authorization": "bound", "wix-site-id": "site-2"}, 403),
        ({"Authorization": "free", "wix-site-id": "../x"}, 400),
    ):
        assert (await gateway.client.get("/v1/key", headers=headers)).status_code == status, headers
