"""Keeps all galleries with all their items, each in the state after one of its events."""

import asyncio
import contextlib
import os
import signal
import sys

from aiokafka import ConsumerRecord

from triptych.client import GalleryConsumer

KAFKA = os.environ.get("TRIPTYCH_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
PREFIX = os.environ.get("TRIPTYCH_TOPIC_PREFIX", "triptych.")


def on_unreadable(record: ConsumerRecord, error: Exception) -> None:
    """Report a record that is not one of the joined topic; it is skipped."""
    print(f"{record.topic}-{record.partition}@{record.offset} is skipped: {error}", file=sys.stderr, flush=True)


async def main() -> None:
    """Print each gallery when it is complete, and again after each change."""
    # In memory, so each start reads from the beginning. With SQLiteStorage("galleries.db") as the second argument, a
    # start continues where the last one ended.
    async with GalleryConsumer(KAFKA, topic_prefix=PREFIX, on_unreadable=on_unreadable) as galleries:
        async for change in galleries:
            if change.sequence is None:
                print(f"{change.gallery_id}  deleted", flush=True)
                continue
            gallery = galleries.get(change.gallery_id)
            titles = [item.get("title", "(no title)") for item in gallery["items"][:3]]
            shown = f"{gallery.get('name')}: {len(gallery['items'])} items: {', '.join(titles)}"
            print(f"{change.gallery_id}  #{change.sequence}  {shown}", flush=True)


async def until_stopped() -> None:
    """Run until Ctrl-C or SIGTERM."""
    running = asyncio.create_task(main())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


asyncio.run(until_stopped())
