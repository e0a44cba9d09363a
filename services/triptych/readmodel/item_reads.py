"""Reads the items of concurrent requests together: one query for all that wait while another query runs."""

from collections.abc import Sequence
from typing import Any

from triptych.kit.process.coalescer import Caller, Coalescer, add_and_wait, answer
from triptych.readmodel.queries import ItemName, Views

ITEMS_AT_ONCE = 100
"""Items of one query. Each may have some hundred kilobytes."""


class _Read:
    """An item that is asked for, and what was found."""

    def __init__(self, name: ItemName) -> None:
        self.name = name
        self.found: dict[str, Any] | None = None


class ItemReads:
    """Reads single items of galleries that are shown.

    Writes that wait for the same notice ask at the same moment. A query for each of them would be the largest part of
    the work of a write under load (measured: two fifths of the gateway's processor time).
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self._waiting = Coalescer[Caller[_Read]]("MongoDB to read items", self._read)

    async def get(self, name: ItemName) -> dict[str, Any] | None:
        """One item; None if there is none, or if it belongs to another gallery or site. Raises the driver's errors."""
        read = _Read(name)
        await add_and_wait(self._waiting, read)
        return read.found

    async def stop(self) -> None:
        """Read nothing more."""
        await self._waiting.stop()

    async def _read(self, callers: Sequence[Caller[_Read]]) -> None:
        waiting = [caller for caller in callers if not caller.done.done()]
        for first in range(0, len(waiting), ITEMS_AT_ONCE):
            together = waiting[first : first + ITEMS_AT_ONCE]
            try:
                found = await self._views.get_items({caller.item.name for caller in together})
            except Exception as error:  # noqa: BLE001 - raised in each request, where it is answered and logged
                answer(together, error)
                continue
            for caller in together:
                caller.item.found = found.get(caller.item.name)
            answer(together)
