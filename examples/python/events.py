"""Handles each event of the galleries once, in order, and reports events that are missing (FastStream)."""

import asyncio
import os
import sys
from typing import Any

from faststream import FastStream
from faststream.kafka import KafkaBroker

from triptych.client.events.sqlite import SQLiteSequences
from triptych.client.faststream import (
    GalleryCreated,
    GalleryDeleted,
    GalleryEvents,
    GalleryItemCreated,
    GalleryItemDeleted,
    GalleryItemUpdated,
    GalleryUpdated,
    Gap,
    UnreadableEvent,
)

KAFKA = os.environ.get("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
PREFIX = os.environ.get("TRIPTYCH_TOPIC_PREFIX", "triptych.")


def on_gap(gap: Gap) -> None:
    """Report events that are lost, or late: after partitions were added, the former partition may still have them."""
    print(f"{gap.gallery_id}  #{gap.first} to #{gap.last} are missing", file=sys.stderr, flush=True)


# The file says after a restart which events have been handled. If all instances share a database, a class with the
# methods of `Sequences` can store it there.
events = GalleryEvents(
    group_id="shop-python", topic_prefix=PREFIX, sequences=SQLiteSequences("events.db"), on_gap=on_gap
)


def show(event: Any, name: str | None) -> None:
    """Print an event: here your code begins. Its type says more than a name: `event` is a model of the contract."""
    print(f"{event.entity_id}  #{event.entity_event_sequence}  {event.slug}  {name or ''}", flush=True)


@events.on(GalleryCreated)
async def on_created(event: GalleryCreated) -> None:
    """Handle a new gallery. The events of its first items follow."""
    show(event, event.created_event.entity.name)


@events.on(GalleryUpdated)
async def on_updated(event: GalleryUpdated) -> None:
    """Handle a gallery that has another name or sort order."""
    show(event, event.updated_event.current_entity.name)


@events.on(GalleryDeleted)
async def on_deleted(event: GalleryDeleted) -> None:
    """Handle a deleted gallery. The events of its deleted items came before."""
    show(event, None)


@events.on(GalleryItemCreated)
async def on_item_created(event: GalleryItemCreated) -> None:
    """Handle a new item."""
    show(event, event.action_event.body.item.title)


@events.on(GalleryItemUpdated)
async def on_item_updated(event: GalleryItemUpdated) -> None:
    """Handle a changed item."""
    show(event, event.action_event.body.updated_item.title)


@events.on(GalleryItemDeleted)
async def on_item_deleted(event: GalleryItemDeleted) -> None:
    """Handle a deleted item."""
    show(event, str(event.action_event.body.item_id))


@events.on(UnreadableEvent)
async def on_unreadable(event: UnreadableEvent) -> None:
    """Report a record that is no event; later records do not wait for it."""
    where = event.record
    print(f"{where.topic}-{where.partition}@{where.offset} is skipped: {event.text}", file=sys.stderr, flush=True)


broker = KafkaBroker(KAFKA)
broker.include_router(events)

if __name__ == "__main__":
    asyncio.run(FastStream(broker).run())
