"""From a command on the topic to listeners outside, in both dialects, through all services."""

import json
import uuid
from collections import Counter
from typing import Any

import jwt

from tests.support.commands import TEXT, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.receiver import Receiver
from tests.support.relay import ALL_TYPES, SITE, Admin, relay_settings
from triptych.command.app import compose as compose_command
from triptych.command.settings import CommandSettings
from triptych.webhooks.app import compose as compose_webhooks
from triptych.webhooks.store.delivery_documents import DeliveryStatus

PREFIX = "wix.pro_gallery.gallery_v2_"


async def test_a_gallery_from_its_creation_to_its_end(
    installation: Installation, admin: Admin, receiver: Receiver
) -> None:
    gallery_id = str(uuid.uuid4())
    plain = await admin.subscribe(receiver.url("/plain"), ordered=True)
    wix = await admin.subscribe(receiver.url("/wix"), format="wix-jwt")
    assert set(ALL_TYPES) >= plain.event_types
    async with (
        compose_command(installation.settings(CommandSettings)),
        compose_webhooks(relay_settings(installation)),
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
    ):
        changes: list[tuple[str, dict[str, Any]]] = [
            ("CreateGallery", {"gallery": {"name": "N", "items": [TEXT] * 3}}),
            ("UpdateGallery", {"gallery": {"name": "M"}}),
            ("DeleteGallery", {}),
        ]
        for name, data in changes:
            value = structured(name, {"galleryId": gallery_id, **data})
            await producer.send_and_wait(installation.topics.commands, value, key=gallery_id.encode())
        for listener in (plain, wix):
            await admin.until(listener, DeliveryStatus.DELIVERED, 9)

    bodies = [json.loads(request.body) for request in receiver.at("/plain")]
    assert [int(body["data"]["entityEventSequence"]) for body in bodies] == list(range(1, 10))
    types = Counter(body["type"].removeprefix(PREFIX) for body in bodies)
    assert types == {
        "created": 1,
        "gallery_item_created": 3,
        "updated": 1,
        "gallery_item_deleted": 3,
        "deleted": 1,
    }
    public_key = await admin.listeners.public_key(SITE, wix.keys[0].key_id)
    assert public_key is not None
    messages = [
        json.loads(jwt.decode(request.body, public_key, algorithms=["RS256"])["data"])
        for request in receiver.at("/wix")
    ]
    assert Counter(message["eventType"].removeprefix(PREFIX) for message in messages) == types
    assert {json.loads(message["data"])["id"] for message in messages} == {body["data"]["id"] for body in bodies}
