"""Creates items by the thousand with `Commands`: in chunks, several on their way at a time, in the order given."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Unpack

import orjson

from triptych.client.commands.building import SendOptions, new_command_id
from triptych.client.commands.client import Commands, Fields
from triptych.contract.gallery import ITEMS_MAX
from triptych.contract.item import NewItem
from triptych.contract.replies import Reply

IN_FLIGHT = 4
"""Commands without a reply. More would not be faster, and would delay other commands of the gallery's partition."""
CHUNK_BYTES = 512 * 1024
"""JSON of the items of one command, which has to fit a Kafka message of 1 MiB in any case."""


async def create_many(
    commands: Commands, gallery_id: str, items: Iterable[NewItem | Fields], **options: Unpack[SendOptions]
) -> AsyncIterator[Reply]:
    """Create any number of items at the end of a gallery, shown in the order given.

    It sends `CreateItems` with up to 500 items each, and gives their replies in order. The items are taken from the
    iterable as they are sent. The ids of the commands are `command_id` with a number: the same call with the same
    `command_id` and the same items creates nothing twice, so it may be repeated after any error.

        async for reply in create_many(commands, gallery_id, items, command_id="import-7"):
            print(len(reply.item_ids or []), "more items")

    Raises what `Commands.create_items` raises, for the first command that fails. Up to three commands after it may have
    been carried out.
    """
    command_id = options.pop("command_id", None) or new_command_id()
    waiting: deque[asyncio.Task[Reply]] = deque()
    try:
        for number, chunk in enumerate(chunks_of(items)):
            creation = commands.create_items(
                gallery_id, chunk, to="end", command_id=f"{command_id}/{number}", **options
            )
            waiting.append(asyncio.create_task(creation))
            # The first reply says whether the gallery exists, and whether the ids are free.
            if number == 0 or len(waiting) == IN_FLIGHT:
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


def chunks_of(items: Iterable[NewItem | Fields]) -> Iterator[list[NewItem | Fields]]:
    """Chunks of up to ITEMS_MAX items and CHUNK_BYTES, each of at least one item."""
    chunk: list[NewItem | Fields] = []
    total = 0
    for item in items:
        size = len(item.to_json() if isinstance(item, NewItem) else orjson.dumps(item, default=str))
        if chunk and (len(chunk) == ITEMS_MAX or total + size > CHUNK_BYTES):
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += size
    if chunk:
        yield chunk
