"""Caches the heads of recently written galleries, so that new items cost no query; valid for the owner only."""

from collections import OrderedDict
from collections.abc import Sequence

from triptych.command.domain.state import GalleryHead
from triptych.command.domain.unit_of_work import ReceivedCommand, UnitOfWork
from triptych.contract.commands import CreateItems

HEADS_MAX = 10_000
"""The most galleries in the cache: a few megabytes."""


class RecentHeads:
    """Heads of galleries as the database has them: no other process writes them while this one owns the partitions."""

    def __init__(self, most: int = HEADS_MAX) -> None:
        self._most = most
        self._heads: OrderedDict[str, GalleryHead] = OrderedDict()

    def head_for(self, commands: Sequence[ReceivedCommand]) -> GalleryHead | None:
        """The cached head, if a single command needs nothing else; a larger batch has one query for everything.

        Without the query, a repeated command is not recognised at first. Storing its outcome again then fails.
        """
        if len(commands) != 1 or not isinstance(commands[0].envelope.data, CreateItems):
            return None
        head = self._heads.get(commands[0].gallery_id)
        # A command that waits for a job has no outcome to store.
        return head if head is not None and head.job is None else None

    def remember(self, unit: UnitOfWork) -> None:
        """Cache the heads that were committed, and drop the least recently written ones above the limit."""
        for gallery_id, head in unit.heads.items():
            # Only written heads: another process may own a head that was read, such as the source of a clone.
            if head is not None and head is not unit.loaded_heads.get(gallery_id):
                self._heads[gallery_id] = head
                self._heads.move_to_end(gallery_id)
        while len(self._heads) > self._most:
            self._heads.popitem(last=False)

    def forget(self) -> None:
        """Drop everything: another process may have written, or the outcome of a commit is unknown."""
        self._heads.clear()
