"""What one transaction has read and decided so far, in memory; later commands of a batch see the earlier ones."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.envelope import CommandEnvelope, Message
from schemas.replies import Reply
from services.command.domain import Change, GalleryHead


class PlacedCommand(NamedTuple):
    """A command and the partition that it came on, which is its gallery's."""

    partition: int
    gallery_id: str
    envelope: CommandEnvelope


class CommandKey(NamedTuple):
    """Identity of a command: ids are chosen by producers, so two sites may choose the same."""

    site_id: str
    command_id: str

    @classmethod
    def of(cls, envelope: CommandEnvelope) -> "CommandKey":
        """The key of a command."""
        return cls(envelope.site_id, envelope.command_id)

    def __str__(self) -> str:
        return f"{self.site_id}/{self.command_id}"


@dataclass(slots=True)
class Workspace:
    """The loaded part of the write model, changed in memory by one decision after another.

    Attributes:
        heads: galleries by id; None for one that does not exist.
        taken: item ids by sort order, by gallery; complete for the values that this batch can ask for.
        gallery_places: gallery ids by (site, sort order); complete in the same way.
        free_places: sort orders reserved for new galleries, by site, lowest last.
        outcomes: replies to commands carried out before, in this batch or an earlier one.
        decided: replies to those carried out in this batch.
        changes: what accepted commands did, in order, with their events.
    """

    heads: dict[str, GalleryHead | None] = field(default_factory=dict)
    taken: dict[str, dict[float, str]] = field(default_factory=lambda: defaultdict(dict))
    gallery_places: dict[tuple[str, float], str] = field(default_factory=dict)
    free_places: dict[str, list[float]] = field(default_factory=dict)
    outcomes: dict[CommandKey, Reply] = field(default_factory=dict)
    loaded_sequences: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[PlacedCommand, Change, list[Message]]] = field(default_factory=list)
    decided: dict[CommandKey, Reply] = field(default_factory=dict)

    def load_head(self, head: GalleryHead) -> None:
        """Add a gallery as it stands in the database."""
        self.heads[head.gallery_id] = head
        self.loaded_sequences[head.gallery_id] = head.sequence

    def head_of(self, gallery_id: str, site_id: str) -> GalleryHead | None:
        """The gallery, if it exists in this site: one of another site is not there (design, section 6, I8)."""
        head = self.heads.get(gallery_id)
        return head if head is not None and head.site_id == site_id else None

    def record(self, command: PlacedCommand, change: Change, messages: list[Message]) -> None:
        """Take over an accepted change."""
        head = change.head
        self.heads[head.gallery_id] = head
        self.gallery_places[head.site_id, head.sort_order] = head.gallery_id
        taken = self.taken[head.gallery_id]
        for item in change.created:
            taken[item.sort_order] = item.item_id
        self.changes.append((command, change, messages))

    def settle(self, envelope: CommandEnvelope, reply: Reply) -> None:
        """Remember the outcome, for repeats of the command."""
        key = CommandKey.of(envelope)
        self.decided[key] = reply
        self.outcomes[key] = reply
