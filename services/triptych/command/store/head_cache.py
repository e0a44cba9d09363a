"""Caches the heads of galleries that this process has written, so that most commands need no query for them.

Only the owner of the partitions may use the cache: no other process writes these galleries meanwhile. A command whose
gallery is cached is not looked up among the outcomes either. If it is a repetition, its outcome cannot be stored again,
the transaction is undone, and the next attempt looks everything up.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from triptych.command.domain.state import GalleryHead
from triptych.command.domain.unit_of_work import ReceivedCommand, UnitOfWork
from triptych.contract.commands import CreateGallery

HEADS_MAX = 10_000
"""The most galleries in the cache: a few megabytes."""


class HeadCache:
    """Heads of galleries as the database has them."""

    def __init__(self, heads_max: int = HEADS_MAX) -> None:
        self._heads_max = heads_max
        self._heads: OrderedDict[str, GalleryHead] = OrderedDict()

    def heads_for(self, commands: Sequence[ReceivedCommand]) -> Iterable[GalleryHead] | None:
        """The heads that these commands need; None if any of them is not cached, or if outcomes are needed too."""
        found: dict[str, GalleryHead] = {}
        for command in commands:
            head = self._heads.get(command.gallery_id)
            # A command that waits for a job has no outcome to store, so a repetition of it must be looked up.
            if head is None or head.job is not None or type(command.envelope.data) is CreateGallery:
                return None
            found[command.gallery_id] = head
        return found.values()

    def keep(self, unit: UnitOfWork) -> None:
        """Cache the heads that were committed, and drop the least recently written ones above the limit."""
        for gallery_id, head in unit.heads.items():
            # Only written heads: another process may own a head that was read, such as the source of a clone.
            if head is not None and head is not unit.loaded_heads.get(gallery_id):
                self._heads[gallery_id] = head
                self._heads.move_to_end(gallery_id)
        while len(self._heads) > self._heads_max:
            self._heads.popitem(last=False)

    def clear(self) -> None:
        """Drop everything: another process may have written, or the outcome of a commit is unknown."""
        self._heads.clear()
