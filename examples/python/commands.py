"""Sends commands, and waits for the reply to each of them."""

import asyncio
import os
import uuid

from triptych.client import CommandRejected, Commands

KAFKA = os.environ.get("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
PREFIX = os.environ.get("TRIPTYCH_TOPIC_PREFIX", "triptych.")


async def main() -> None:
    """Create a gallery, repeat the command, and send one that is refused."""
    # Replies are read from the present end of their topic, before any command is sent: none can be missed.
    async with Commands(KAFKA, source="shop", topic_prefix=PREFIX) as commands:
        gallery_id = str(uuid.uuid4())
        items = [{"title": "One", "text": {"html": "<p>1</p>"}}, {"title": "Two", "text": {"html": "<p>2</p>"}}]
        gallery = {"name": "From Python", "items": items}

        # Sent again after 5, 10, 20 … seconds if no reply comes: the same id has one effect, and one reply.
        created = await commands.create_gallery(gallery, gallery_id=gallery_id, command_id=f"create-{gallery_id}")
        print(f"{created.outcome} gallery {gallery_id} sequence {created.sequence} items {len(created.item_ids)}")

        # As if the reply had been lost: the same id and data.
        again = await commands.create_gallery(gallery, gallery_id=gallery_id, command_id=f"create-{gallery_id}")
        is_same = "true" if again.item_ids == created.item_ids else "false"
        print(f"again {again.outcome} sequence {again.sequence} same items {is_same}")

        image = {"imageInfo": {"url": "https://static.example/one.jpg"}, "quality": 7}
        try:
            await commands.update_item(gallery_id, created.item_ids[0], {"image": image})
        except CommandRejected as rejected:
            for field, violations in rejected.violations.items():
                print("rejected", rejected.code, field, *(violation.description for violation in violations))


asyncio.run(main())
