"""Makes the commands and events of a point, of galleries that are chosen by their popularity, and publishes them."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import uuid_utils

from benchmarks.scaling.points import Conditions
from benchmarks.scaling.popularity import weights
from benchmarks.scaling.stage import Stage
from benchmarks.scaling.stored import SITE, item_id, item_wire
from benchmarks.simulation import gallery_id, photo
from benchmarks.workload import command_record
from triptych.contract.codec import events
from triptych.contract.codec.envelope import encode_event
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.readmodel.documents import GALLERY_VIEWS

CREATED = 0.25
"""The share of operations that create an item. The others change one."""
PUBLISHED_AT_ONCE = 5_000
TICK_SECONDS = 0.005
KNOWN_AT_ONCE = 20_000


def draws(conditions: Conditions, count: int, seed: int) -> list[int]:
    """The numbers of `count` galleries, chosen by their popularity."""
    dice = random.Random(seed)
    if not conditions.zipf:
        return [dice.randrange(conditions.galleries) for _ in range(count)]
    return dice.choices(
        range(conditions.galleries), cum_weights=weights(conditions.galleries, conditions.zipf), k=count
    )


def commands(stage: Stage, count: int, seed: int) -> list[OutgoingRecord]:
    """Commands that change or create one item each. Each causes one event."""
    items = stage.conditions.items
    dice = random.Random(-seed)
    records = []
    for number, gallery in enumerate(draws(stage.conditions, count, seed)):
        data = {"galleryId": gallery_id(gallery)}
        if dice.random() < CREATED:
            name, data = "CreateItems", {**data, "items": [photo(number, f"New {number}")]}  # type: ignore[dict-item]
        else:
            changed = {"title": f"Title {seed}-{number} {stage.name}", "tags": {"values": ["dusk", "boats"]}}
            index = dice.randrange(items)
            name = "UpdateItem"
            data = {**data, "itemId": item_id(gallery, index, items), "item": changed}  # type: ignore[dict-item]
        records.append(command_record(stage.topics.commands, name, data, f"{stage.name}-{seed}-{number}"))
    return records


class EventMaker:
    """Makes events that are next in the sequence of their galleries, whatever earlier points have projected."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._sequences: dict[str, int] = {}

    async def events(self, count: int, seed: int) -> list[OutgoingRecord]:
        """Events of items that were changed or created."""
        chosen = draws(self._stage.conditions, count, seed)
        await self._learn({gallery_id(gallery) for gallery in chosen})
        dice = random.Random(-seed)
        items, now = self._stage.conditions.items, datetime.now(UTC)
        records = []
        for number, gallery in enumerate(chosen):
            of_gallery = gallery_id(gallery)
            sequence = self._sequences[of_gallery] = self._sequences[of_gallery] + 1
            body = item_wire(gallery, dice.randrange(items), items, f"Title {number}")
            build = events.item_updated
            if dice.random() < CREATED:
                created = {"id": str(uuid_utils.uuid4()), "sortOrder": 1_700_000_000_000 + sequence}
                build, body = events.item_created, {**body, **created}
            event = build(str(uuid_utils.uuid7()), of_gallery, sequence, now, body)
            message = encode_event(event, site_id=SITE, correlation_id="c", causation_id="c", traceparent=None)
            records.append(OutgoingRecord(self._stage.topics.events, message.key, message.value, message.headers))
        return records

    async def _learn(self, ids: set[str]) -> None:
        unknown = sorted(ids - self._sequences.keys())
        views = self._stage.database[GALLERY_VIEWS]
        for start in range(0, len(unknown), KNOWN_AT_ONCE):
            query = {"_id": {"$in": unknown[start : start + KNOWN_AT_ONCE]}}
            async for view in views.find(query, {"sequence": 1}):
                self._sequences[view["_id"]] = view["sequence"]


async def publish(stage: Stage, records: Sequence[OutgoingRecord], per_second: int = 0) -> None:
    """Publish records: at this rate, or all at once if it is 0."""
    publisher = Publisher(lambda: make_producer(stage.settings))
    try:
        await publisher.start()
        if not per_second:
            for start in range(0, len(records), PUBLISHED_AT_ONCE):
                await publisher.publish(records[start : start + PUBLISHED_AT_ONCE])
            return
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while sent < len(records):
            due = min(len(records), 1 + int((loop.time() - began) * per_second))
            if due > sent:
                await publisher.publish(records[sent:due])
                sent = due
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await publisher.stop()
