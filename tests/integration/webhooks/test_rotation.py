"""Secrets and key pairs of listeners are rotated, with an overlap during which deliveries stay verifiable."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import jwt

from tests.support.histories import History
from tests.support.kafka import Publish
from tests.support.receiver import Received, Receiver
from tests.support.relay import ALL_TYPES, SITE, Admin, OpenRelay
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.store.listener_documents import Listener
from triptych.webhooks.store.listeners import SIGNING_KEYS


def signed_with(request: Received, secret: str) -> bool:
    """Whether one of a request's signatures was made with this secret."""
    head = f"{request.id}.{request.headers['webhook-timestamp']}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, head + request.body, sha256).digest()).decode()
    return expected in request.headers["webhook-signature"].split(" ")


async def test_rotation_signs_with_both_secrets_for_a_while(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    new = NewListener.model_validate({"url": receiver.url(), "eventTypes": ALL_TYPES})
    created = await admin.listeners.create(SITE, new)
    rotated = await admin.listeners.rotate(SITE, created.listener.id, timedelta(hours=1))
    assert rotated is not None
    assert created.secret is not None
    assert rotated.secret is not None
    async with open_relay():
        await publish(History().create().messages)
        (request,) = await receiver.until(1)
        assert signed_with(request, created.secret)
        assert signed_with(request, rotated.secret)
        last = await admin.listeners.rotate(SITE, created.listener.id, timedelta(0))
        assert last is not None
        assert last.secret is not None
        await publish(History().create().messages)
        _, request = await receiver.until(2)
        assert signed_with(request, last.secret)
        assert not signed_with(request, rotated.secret)
    stored = repr(await admin.database[SIGNING_KEYS].find({}).to_list(None))
    assert created.secret.removeprefix("whsec_") not in stored


async def test_tokens_are_signed_with_the_old_key_until_the_overlap_ends(
    open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    new = NewListener.model_validate({"url": receiver.url(), "eventTypes": ALL_TYPES, "format": "wix-jwt"})
    first = await admin.listeners.create(SITE, new)
    second = await admin.listeners.create(SITE, new)
    # The site has one pair. Its private half is never shown.
    assert first.secret is second.secret is None
    assert first.public_key == second.public_key
    assert first.public_key is not None
    rotated = await admin.listeners.rotate(SITE, first.listener.id, timedelta(hours=1))
    assert rotated is not None
    assert rotated.public_key is not None
    await admin.listeners.delete(SITE, second.listener.id)

    def verifies(request: Received, pem: str) -> bool:
        try:
            jwt.decode(request.body, pem, algorithms=["RS256"])
        except jwt.InvalidSignatureError:
            return False
        return True

    async with open_relay():
        await publish(History().create().messages)
        (request,) = await receiver.until(1)
        assert verifies(request, first.public_key)
        await admin.listeners.rotate(SITE, first.listener.id, timedelta(0))
        newest = await admin.listeners.public_key(SITE, (await admin.current(first.listener)).keys[0].key_id)
        assert newest is not None
        await publish(History().create().messages)
        _, request = await receiver.until(2)
        assert verifies(request, newest)
        assert not verifies(request, first.public_key)
    assert jwt.decode(request.body, newest, algorithms=["RS256"])["exp"] > datetime.now(UTC).timestamp() + 80 * 3_600


async def test_pairs_that_an_earlier_version_has_shown_are_rotated(admin: Admin) -> None:
    fields = {"url": "https://shop.example/", "eventTypes": ALL_TYPES}

    async def create(dialect: Format, site: str = SITE) -> Listener:
        new = NewListener.model_validate({**fields, "format": dialect.value})
        return (await admin.listeners.create(site, new)).listener

    shown = [await create(dialect) for dialect in (Format.WIX_JWT, Format.WIX_JWT, Format.STANDARD_ED25519)]
    shared = await create(Format.STANDARD_HMAC)
    elsewhere = await create(Format.STANDARD_ED25519, "elsewhere")
    # The documents of earlier versions.
    await admin.database[SIGNING_KEYS].update_many({}, {"$unset": {"isPrivate": 1}})
    hour = timedelta(hours=1)
    rotated = [created async for created in admin.listeners.rotate_shown(hour, SITE)]
    assert {created.listener.id for created in rotated} == {listener.id for listener in shown}
    assert all(created.secret is None and created.public_key for created in rotated)
    assert len({created.listener.keys[0].key_id for created in rotated}) == 2
    assert all(len(created.listener.keys) == 2 for created in rotated)
    assert (await admin.current(shared)).keys == shared.keys
    everywhere = [created.listener.id async for created in admin.listeners.rotate_shown(hour)]
    assert everywhere == [elsewhere.id]
    assert [created async for created in admin.listeners.rotate_shown(hour)] == []
