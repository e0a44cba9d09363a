"""Models of the commands that producers may send (contract, section 11)."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from triptych.contract.base import NUMERIC, Guid, Instant, ViolatedRule, WireModel, broken
from triptych.contract.gallery import ITEMS_MAX, GalleryPatch, NewGallery
from triptych.contract.item import ItemPatch, NewItem

COMMAND_TYPE_PREFIX = "triptych.command.v1."
"""The prefix of a command's CloudEvents type; the command's name follows."""

DELETED_ITEMS_MAX = 1000
"""Ids in one deletion (contract, section 2.2)."""

MOVED_ITEMS_MAX = 1000
"""Ids in one move of several items (D21)."""

EXPECTED_MAX = 100
"""Sequences that a command may name as expected."""

Sequence: TypeAlias = Annotated[int, Field(ge=0, le=2**63 - 1), NUMERIC]
"""The number of a gallery's last event."""

EventSequence: TypeAlias = Annotated[int, Field(ge=1, le=2**63 - 1), NUMERIC]
"""The number of an event."""


class Command(WireModel):
    """The fields of all commands: a command is carried out only if the gallery has an expected sequence.

    `expected_sequences` is for senders that accept several sequences; an empty list accepts none.
    """

    expected_sequence: Sequence | None = None
    expected_sequences: Annotated[tuple[Sequence, ...], Field(max_length=EXPECTED_MAX)] | None = None


class GalleryCommand(Command):
    """A command about a gallery that exists."""

    gallery_id: Guid


class CreateGallery(Command):
    """Create a gallery, with items or as a copy of another; the name and sort order of a copy may differ (D23)."""

    gallery_id: Guid | None = None
    gallery: NewGallery | None = None
    clone_from_gallery_id: Guid | None = None

    @model_validator(mode="after")
    def _check_clone(self) -> Self:
        if self.clone_from_gallery_id and self.gallery and self.gallery.items:
            raise broken(ViolatedRule.CUSTOM, "must be absent when a gallery is cloned", field="gallery.items")
        return self


class UpdateGallery(GalleryCommand):
    """Change a gallery's head, and some of its items."""

    gallery: GalleryPatch


class DeleteGallery(GalleryCommand):
    """Delete a gallery and its items."""


class ClearGallery(GalleryCommand):
    """Delete all items of a gallery."""


class RebalanceItems(GalleryCommand):
    """Space the sort orders of all items evenly, without changing the display order."""


class RepublishGallery(GalleryCommand):
    """Publish a gallery's state again, for read models that lost events."""


class RestoreGallery(Command):
    """Bring a gallery back to a former state, or create a gallery from a former state of another one (D25).

    The state is that after the event with this sequence, or after the last event up to this time. With
    `from_gallery_id`, which may be that of a deleted gallery, `gallery_id` is the id of the new gallery.
    """

    gallery_id: Guid | None = None
    sequence: EventSequence | None = None
    time: Instant | None = None
    from_gallery_id: Guid | None = None

    @model_validator(mode="after")
    def _check_state(self) -> Self:
        if (self.sequence is None) == (self.time is None):
            expected = "exactly one of sequence, time"
            raise broken(
                ViolatedRule.CUSTOM, f"must be given as {expected}", field="sequence", data={"expected": expected}
            )
        if self.gallery_id is None and self.from_gallery_id is None:
            raise broken(ViolatedRule.REQUIRED_FIELD, "is required", field="galleryId")
        if self.gallery_id == self.from_gallery_id:
            raise broken(ViolatedRule.CUSTOM, "must be another gallery", field="fromGalleryId")
        return self


class CreateItems(GalleryCommand):
    """Create items in a gallery, shown in the order given: before the older ones, or at the end (section 4, rule 2)."""

    items: Annotated[tuple[NewItem, ...], Field(min_length=1, max_length=ITEMS_MAX)]
    to: Literal["start", "end"] | None = None


class UpdateItem(GalleryCommand):
    """Change an item."""

    item_id: Guid
    item: ItemPatch


def _refuse_targets(command: "MoveItem | MoveItems", moved: tuple[str, ...]) -> None:
    """Raise unless the command names one target, which is not moved itself."""
    if (command.before is None) + (command.after is None) + (command.to is None) != 2:
        expected = "exactly one of before, after, to"
        raise broken(ViolatedRule.CUSTOM, f"must be given as {expected}", field="to", data={"expected": expected})
    for field in ("before", "after"):
        if getattr(command, field) in moved:
            raise broken(ViolatedRule.CUSTOM, "must be another item", field=field)


class MoveItem(GalleryCommand):
    """Move an item in display order: directly before or after another item, or to the start or end."""

    item_id: Guid
    before: Guid | None = None
    after: Guid | None = None
    to: Literal["start", "end"] | None = None

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        _refuse_targets(self, (self.item_id,))
        return self


class MoveItems(GalleryCommand):
    """Move items in display order, as one block in the order given (section 4, rule 7).

    The block goes directly before or after an item that is not one of them, or to the start or end.
    """

    item_ids: Annotated[tuple[Guid, ...], Field(min_length=1, max_length=MOVED_ITEMS_MAX)]
    before: Guid | None = None
    after: Guid | None = None
    to: Literal["start", "end"] | None = None

    @model_validator(mode="after")
    def _check_moves(self) -> Self:
        seen: set[str] = set()
        for position, item_id in enumerate(self.item_ids):
            if item_id in seen:
                raise broken(ViolatedRule.CUSTOM, "must not repeat an earlier id", field=f"itemIds[{position}]")
            seen.add(item_id)
        _refuse_targets(self, self.item_ids)
        return self


class DeleteItems(GalleryCommand):
    """Delete items; ids that are not in the gallery are skipped (D9)."""

    item_ids: Annotated[tuple[Guid, ...], Field(min_length=1, max_length=DELETED_ITEMS_MAX)]


CommandData: TypeAlias = (
    CreateGallery
    | UpdateGallery
    | DeleteGallery
    | ClearGallery
    | RebalanceItems
    | RepublishGallery
    | RestoreGallery
    | CreateItems
    | UpdateItem
    | MoveItem
    | MoveItems
    | DeleteItems
)

COMMANDS: dict[str, type[CommandData]] = {
    command.__name__: command
    for command in (
        CreateGallery,
        UpdateGallery,
        DeleteGallery,
        ClearGallery,
        RebalanceItems,
        RepublishGallery,
        RestoreGallery,
        CreateItems,
        UpdateItem,
        MoveItem,
        MoveItems,
        DeleteItems,
    )
}
"""The commands by name."""


def command_name(data: CommandData) -> str:
    """The name of a command, as in its CloudEvents type."""
    return type(data).__name__
