"""Remembers the galleries written last, so that new items of one of them cost no query; valid for the owner only."""

from collections import OrderedDict
from collections.abc import Sequence

from triptych.command.domain.state import GalleryHead
from triptych.command.domain.unit_of_work import PlacedCommand, UnitOfWork
from triptych.contract.commands import CreateItems

HEADS_MAX = 10_000
"""Galleries remembered: a few megabytes."""


class RecentHeads:
    """Heads of galleries as they are stored: nobody else writes them as long as this process owns their partitions."""

    def __init__(self, most: int = HEADS_MAX) -> None:
        self._most = most
        self._heads: OrderedDict[str, GalleryHead] = OrderedDict()

    def head_for(self, commands: Sequence[PlacedCommand]) -> GalleryHead | None:
        """All that a lone command names in the write model, if that is known; a batch has one query for everything.

        Whether the command was carried out before is not known then. If it was, its outcome cannot be stored again.
        """
        if len(commands) != 1 or not isinstance(commands[0].envelope.data, CreateItems):
            return None
        head = self._heads.get(commands[0].gallery_id)
        # A command that waits for a job has no outcome to store.
        return head if head is not None and head.job is None else None

    def remember(self, workspace: UnitOfWork) -> None:
        """Take over what was committed, and forget what was written longest ago when it becomes too much."""
        for gallery_id, head in workspace.heads.items():
            # Others than those written may belong to another process: it is enough to have been cloned.
            if head is not None and head is not workspace.loaded_heads.get(gallery_id):
                self._heads[gallery_id] = head
                self._heads.move_to_end(gallery_id)
        while len(self._heads) > self._most:
            self._heads.popitem(last=False)

    def forget(self) -> None:
        """Forget everything: somebody else may have written, or a commit may have failed or not."""
        self._heads.clear()
