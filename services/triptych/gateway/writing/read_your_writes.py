"""Waits until the read model shows what was written (docs/architecture/gateway.md; contract, D24)."""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import orjson

from triptych.contract.gallery import ITEMS_MAX
from triptych.contract.joined import parse_key
from triptych.gateway.writing.waiters import Waiters
from triptych.kit.logs.loggers import get_logger
from triptych.readmodel.queries import Views

log = get_logger(__name__)

CONSISTENT_HEADER = "X-Wix-Consistent"
POSITIONS_MAX = 8
KEPT_BYTES = 8 * 1024 * 1024
_POSITION = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Position:
    """A gallery at a sequence."""

    gallery_id: str
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read one position of an `X-Wix-Consistent`.

        None if this product did not write it, for example when a client talks to several servers.
        """
        match = _POSITION.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.gallery_id}:{self.sequence}"


def parse_positions(header: str) -> list[Position]:
    """The positions in an `X-Wix-Consistent`, newest first; texts that are not positions are left out."""
    found = (Position.parse(text) for text in header.split(",", POSITIONS_MAX)[:POSITIONS_MAX])
    return [position for position in found if position is not None]


def format_positions(newest: Position, others: Iterable[Position]) -> str:
    """The value of `X-Wix-Consistent`: the newest position of each gallery, of at most `POSITIONS_MAX` galleries."""
    by_gallery = {newest.gallery_id: newest}
    for position in others:
        by_gallery.setdefault(position.gallery_id, position)
    return ",".join(map(str, list(by_gallery.values())[:POSITIONS_MAX]))


class GalleryWaiter:
    """One request that waits for one gallery, and what the joined topic has said of the gallery since then.

    Attributes:
        sequence: the highest at which the read model showed the gallery, -1 before the first record.
        items: items that changed since then, by id, as the read model shows them: the first `ITEMS_MAX` of them, and no
            more than `KEPT_BYTES`.
    """

    def __init__(self) -> None:
        self.sequence = -1
        self.items: dict[str, dict[str, Any]] = {}
        self._item_sequences: dict[str, int] = {}
        self._free_bytes = KEPT_BYTES
        self._is_deleted = False
        self._changed = asyncio.Event()

    def note(self, sequence: int | None) -> None:
        """Note that the read model shows the gallery at this sequence, or no longer shows it (None)."""
        if sequence is None:
            self._is_deleted = True
        else:
            self.sequence = max(self.sequence, sequence)
        self._changed.set()

    def note_item(self, item_id: str, sequence: int | None, item: dict[str, Any] | None, size: int = 0) -> None:
        """Note that the read model shows the item as of this sequence, or no longer shows it (None).

        `size` is the number of bytes of the record.
        """
        known = self._item_sequences.get(item_id, -1 if len(self._item_sequences) < ITEMS_MAX else None)
        if sequence is None or item is None:
            self.items.pop(item_id, None)
        elif known is not None and sequence >= known:  # a former owner may publish outdated records
            self._free_bytes -= size
            if self._free_bytes < 0:
                self.items.pop(item_id, None)  # a response that needs the item reads it from the read model
            else:
                self.items[item_id], self._item_sequences[item_id] = item, sequence

    async def wait_for(self, sequence: int) -> None:
        """Wait until the read model shows the gallery at this sequence or a later one, or no longer shows it."""
        while self.sequence < sequence and not self._is_deleted:
            self._changed.clear()
            await self._changed.wait()
        self._is_deleted = False


class GalleryWaiters(Waiters[str, GalleryWaiter]):
    """The requests that wait for galleries to change.

    Reads the joined topic: the projector publishes a record there after it has stored the view.
    """

    def watch(self, gallery_id: str) -> AbstractContextManager[GalleryWaiter]:
        """Watch one gallery; enter before sending the command that changes it."""
        return self.waiting(gallery_id, GalleryWaiter())

    def receive(self, key: bytes | None, value: bytes | None) -> None:
        """Process a record of the joined topic."""
        if not self._waiting:
            return
        try:
            gallery_id, item_id = parse_key(key or b"")
            waiters = self.waiting_for(gallery_id)
            if not waiters:
                return
            record = None if value is None else orjson.loads(value)
            sequence = None if record is None else int(record["sequence"])
            item = None if record is None or item_id is None else dict(record["item"])
        except (ValueError, KeyError, TypeError):
            log.error("a record of the galleries topic cannot be read", key=key)
            return
        for waiter in waiters:
            if item_id is None:
                waiter.note(sequence)
            else:
                waiter.note_item(item_id, sequence, item, len(value or b""))


async def wait_until_all_shown(
    views: Views, gallery_waiters: GalleryWaiters, site_id: str, positions: Sequence[Position], timeout_seconds: float
) -> bool:
    """Whether the read model shows all of these positions before the time is up."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    for position in positions:
        with gallery_waiters.watch(position.gallery_id) as waiter:
            remaining = max(0.0, deadline - asyncio.get_running_loop().time())
            if not await wait_until_shown(views, waiter, site_id, position, remaining):
                return False
    return True


async def wait_until_shown(
    views: Views,
    waiter: GalleryWaiter,
    site_id: str,
    position: Position,
    timeout_seconds: float,
    query_after_seconds: float = 0.0,
) -> bool:
    """Whether the read model shows the gallery at this position before the time is up.

    For the first `query_after_seconds` it waits for the joined topic only, and does not query the read model, since the
    record usually arrives by then.
    """

    async def is_shown() -> bool:
        sequence = await views.sequence_of(site_id, position.gallery_id)
        return sequence is not None and sequence >= position.sequence

    if timeout_seconds <= 0:
        return await is_shown()
    if query_after_seconds:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(query_after_seconds, timeout_seconds)):
                await waiter.wait_for(position.sequence)
    try:
        async with asyncio.timeout(timeout_seconds):
            # Query before waiting, since a repeated command publishes nothing more. Query again after a tombstone,
            # which has no sequence.
            while waiter.sequence < position.sequence and not await is_shown():
                await waiter.wait_for(position.sequence)
    except TimeoutError:
        return await is_shown()
    return True
