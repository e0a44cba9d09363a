"""Waits until the read model shows what was written (design, section 5; wire contract, D24)."""

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import orjson

from schemas.joined import parse_key
from services.readmodel.queries import Views

log = logging.getLogger(__name__)

CONSISTENT_HEADER = "X-Wix-Consistent"
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


class Watch:
    """What was heard of one gallery since the watch began."""

    def __init__(self) -> None:
        self._seen = -1
        self._news = asyncio.Event()

    def note(self, sequence: int) -> None:
        """The read model shows the gallery at this sequence."""
        self._seen = max(self._seen, sequence)
        self._news.set()

    async def reached(self, sequence: int) -> None:
        """Return once the gallery was heard at this sequence or a later one."""
        while self._seen < sequence:
            self._news.clear()
            await self._news.wait()


class Heads:
    """The requests that wait for galleries to change. Hears the joined topic, where a record follows its view."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    @contextmanager
    def watch(self, gallery_id: str) -> Iterator[Watch]:
        """Listen for one gallery; enter before sending the command that changes it."""
        watch = Watch()
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
            if item_id is not None or (watches := self._watches.get(gallery_id)) is None:
                return
            # A tombstone: the gallery is deleted for good, so there is nothing later to wait for.
            sequence = 2**63 if value is None else int(orjson.loads(value)["sequence"])
        except (ValueError, KeyError, TypeError):
            log.error("a record of the galleries topic cannot be read")
            return
        for watch in watches:
            watch.note(sequence)


async def wait_until_shown(
    views: Views, watch: Watch, site_id: str, position: Position, timeout_seconds: float
) -> bool:
    """Whether the read model shows the gallery at this position before the time is up."""

    async def is_shown() -> bool:
        sequence = await views.sequence_of(site_id, position.gallery_id)
        return sequence is not None and sequence >= position.sequence

    # Asked first: of a command that was repeated nothing more will be heard.
    if await is_shown():
        return True
    try:
        await asyncio.wait_for(watch.reached(position.sequence), timeout_seconds)
    except TimeoutError:
        return await is_shown()
    return True
