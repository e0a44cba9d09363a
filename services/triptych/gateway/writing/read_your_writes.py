"""Waits until the read model shows what was written (docs/architecture/gateway.md; contract, D24)."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import orjson

from triptych.contract.gallery import ITEMS_MAX
from triptych.contract.joined import parse_key
from triptych.readmodel.queries import Views

log = logging.getLogger(__name__)

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
        """Read an `X-Wix-Consistent`; None if it is not one of ours, as when a client talks to several servers."""
        match = _POSITION.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.gallery_id}:{self.sequence}"


def parse_positions(header: str) -> list[Position]:
    """The positions in an `X-Wix-Consistent`, newest first, without what is not ours."""
    found = (Position.parse(part) for part in header.split(",", POSITIONS_MAX)[:POSITIONS_MAX])
    return [position for position in found if position is not None]


def format_positions(newest: Position, others: Iterable[Position]) -> str:
    """The header that tells them; of each gallery only the newest, and of the oldest galleries nothing."""
    by_gallery = {newest.gallery_id: newest}
    for position in others:
        by_gallery.setdefault(position.gallery_id, position)
    return ",".join(map(str, list(by_gallery.values())[:POSITIONS_MAX]))


class GalleryWaiter:
    """What was heard of one gallery since the watch began.

    Attributes:
        sequence: the highest at which the read model showed the gallery, -1 as long as nothing was heard.
        items: items that changed meanwhile, by id, as the read model shows them; the first `ITEMS_MAX` of them, and no
            more than `KEPT_BYTES`.
    """

    def __init__(self) -> None:
        self.sequence = -1
        self.items: dict[str, dict[str, Any]] = {}
        self._item_sequences: dict[str, int] = {}
        self._free_bytes = KEPT_BYTES
        self._gone = False
        self._news = asyncio.Event()

    def note(self, sequence: int | None) -> None:
        """The read model shows the gallery at this sequence, or, if it is None, does not show it any more."""
        if sequence is None:
            self._gone = True
        else:
            self.sequence = max(self.sequence, sequence)
        self._news.set()

    def note_item(self, item_id: str, sequence: int | None, item: dict[str, Any] | None, size: int = 0) -> None:
        """The read model shows the item as it is since this sequence, or, without, does not show it any more.

        `size` is that of the record that told it, in bytes.
        """
        known = self._item_sequences.get(item_id, -1 if len(self._item_sequences) < ITEMS_MAX else None)
        if sequence is None or item is None:
            self.items.pop(item_id, None)
        elif known is not None and sequence >= known:  # a former owner may tell outdated ones
            self._free_bytes -= size
            if self._free_bytes < 0:
                self.items.pop(item_id, None)  # whoever needs it asks the read model
            else:
                self.items[item_id], self._item_sequences[item_id] = item, sequence

    async def heard(self, sequence: int) -> None:
        """Wait until the gallery was heard at this sequence, or not to be shown any more."""
        while self.sequence < sequence and not self._gone:
            self._news.clear()
            await self._news.wait()
        self._gone = False


class GalleryWaiters:
    """The requests that wait for galleries to change. Hears the joined topic, where a record follows its view."""

    def __init__(self) -> None:
        self._watches: dict[str, set[GalleryWaiter]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    @contextmanager
    def watch(self, gallery_id: str) -> Iterator[GalleryWaiter]:
        """Listen for one gallery; enter before sending the command that changes it."""
        watch = GalleryWaiter()
        watches = self._watches.setdefault(gallery_id, set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches:
                self._watches.pop(gallery_id, None)

    def hear(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the galleries topic."""
        if not self._watches:
            return
        try:
            gallery_id, item_id = parse_key(key or b"")
            watches = self._watches.get(gallery_id)
            if watches is None:
                return
            record = None if value is None else orjson.loads(value)
            sequence = None if record is None else int(record["sequence"])
            item = None if record is None or item_id is None else dict(record["item"])
        except (ValueError, KeyError, TypeError):
            log.error("a record of the galleries topic cannot be read")
            return
        for watch in watches:
            if item_id is None:
                watch.note(sequence)
            else:
                watch.note_item(item_id, sequence, item, len(value or b""))


async def wait_until_all_shown(
    views: Views, heads: GalleryWaiters, site_id: str, positions: Sequence[Position], timeout_seconds: float
) -> bool:
    """Whether the read model shows every one of these positions before the time is up."""
    ends = asyncio.get_running_loop().time() + timeout_seconds
    for position in positions:
        with heads.watch(position.gallery_id) as watch:
            remaining = max(0.0, ends - asyncio.get_running_loop().time())
            if not await wait_until_shown(views, watch, site_id, position, remaining):
                return False
    return True


async def wait_until_shown(
    views: Views,
    watch: GalleryWaiter,
    site_id: str,
    position: Position,
    timeout_seconds: float,
    patience_seconds: float = 0.0,
) -> bool:
    """Whether the read model shows the gallery at this position before the time is up.

    For `patience_seconds` it only listens: a question that is answered by itself a moment later is not asked.
    """

    async def is_shown() -> bool:
        sequence = await views.sequence_of(site_id, position.gallery_id)
        return sequence is not None and sequence >= position.sequence

    if timeout_seconds <= 0:
        return await is_shown()
    if patience_seconds:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(patience_seconds, timeout_seconds)):
                await watch.heard(position.sequence)
    try:
        async with asyncio.timeout(timeout_seconds):
            # Asked first, since of a command that was repeated nothing more will be heard; and again after a
            # tombstone, which does not tell its sequence.
            while watch.sequence < position.sequence and not await is_shown():
                await watch.heard(position.sequence)
    except TimeoutError:
        return await is_shown()
    return True
