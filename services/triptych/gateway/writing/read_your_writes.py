"""Waits until the read model shows what was written (docs/architecture/gateway.md; contract, D24)."""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

from triptych.contract.codec.notices import Shown, decode_notice
from triptych.gateway.writing.waiters import Waiters
from triptych.kit.backoff import Backoff
from triptych.kit.logs.loggers import get_logger
from triptych.readmodel.queries import Views

log = get_logger(__name__)

CONSISTENT_HEADER = "X-Wix-Consistent"
POSITIONS_MAX = 8
FIRST_PAUSE_SECONDS = 0.02
"""The first pause of a read that waits: its position is usually a few milliseconds old."""
LONGEST_PAUSE_SECONDS = 1.0
"""The longest pause between two queries that ask whether the read model shows a gallery."""
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
    """One request that waits for one gallery.

    Attributes:
        sequence: the highest of all notices, -1 before the first.
        items: those of the notice with this sequence: a request that changes many items in turn keeps few of them.
    """

    def __init__(self) -> None:
        self.sequence = -1
        self.items: Sequence[Mapping[str, Any]] = ()
        self._changed = asyncio.Event()

    def note(self, shown: Shown) -> None:
        """Note that the read model shows the gallery at a sequence."""
        if shown.sequence >= self.sequence:
            self.sequence, self.items = shown.sequence, shown.items
        self._changed.set()

    async def wait_for(self, sequence: int) -> None:
        """Wait for a notice that the read model shows the gallery at this sequence or a later one."""
        while self.sequence < sequence:
            self._changed.clear()
            await self._changed.wait()


class GalleryWaiters(Waiters[tuple[str, str], GalleryWaiter]):
    """The requests that wait for galleries to change, by site and gallery.

    After the projector has stored and published a gallery, it sends a notice to the gateway that has sent the command.
    """

    def watch(self, site_id: str, gallery_id: str) -> AbstractContextManager[GalleryWaiter]:
        """Watch one gallery; enter before sending the command that changes it."""
        return self.waiting((site_id, gallery_id), GalleryWaiter())

    def receive(self, value: bytes | None) -> None:
        """Process a notice."""
        if not self._waiting:
            return
        try:
            shown = decode_notice(value or b"")
        except (ValueError, KeyError, TypeError):
            log.error("a notice cannot be read")
            return
        for one in shown:
            for waiter in self.waiting_for((one.site_id, one.gallery_id)):
                waiter.note(one)


async def wait_until_all_shown(
    views: Views, gallery_waiters: GalleryWaiters, site_id: str, positions: Sequence[Position], timeout_seconds: float
) -> bool:
    """Whether the read model shows all of these positions, of writes through any gateway, before the time is up."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    for position in positions:
        with gallery_waiters.watch(site_id, position.gallery_id) as waiter:
            remaining = max(0.0, deadline - asyncio.get_running_loop().time())
            if not await is_shown(views, site_id, position) and not await wait_until_shown(
                views, waiter, site_id, position, remaining, FIRST_PAUSE_SECONDS
            ):
                return False
    return True


async def wait_until_shown(
    views: Views,
    waiter: GalleryWaiter,
    site_id: str,
    position: Position,
    timeout_seconds: float,
    first_pause_seconds: float,
) -> bool:
    """Whether the read model shows the gallery at this position before the time is up.

    Only a gateway's own writes bring notices, and a notice may be lost. So the read model is queried too: first after
    about `first_pause_seconds`, then with longer pauses, and at the end.
    """
    backoff = Backoff(first_pause_seconds, LONGEST_PAUSE_SECONDS)
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while (remaining := deadline - asyncio.get_running_loop().time()) > 0:
        pause = backoff.next_pause()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause, remaining)):
                await waiter.wait_for(position.sequence)
                return True
        if await is_shown(views, site_id, position):
            return True
        # uvloop counts whole milliseconds, so a timeout may end before the deadline that it was computed from.
        if pause >= remaining:
            break
    return False


async def is_shown(views: Views, site_id: str, position: Position) -> bool:
    """Whether the read model shows a gallery at this position now. Raises the driver's errors."""
    sequence = await views.sequence_of(site_id, position.gallery_id)
    return sequence is not None and sequence >= position.sequence
