"""Says which gallery a command handles as a whole, and how the size of a gallery is measured, without I/O."""

from collections.abc import Container, Iterable
from typing import NamedTuple

from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.contract.commands import ClearGallery, CreateGallery, DeleteGallery, RebalanceItems, RepublishGallery

ON_ALL_ITEMS = frozenset({DeleteGallery, ClearGallery, RebalanceItems, RepublishGallery})
"""The kinds of commands that handle every item of a gallery."""


class Size(NamedTuple):
    """The size of a gallery: its number of items and their bytes in BSON."""

    items: int
    bytes: int


def of_kinds(commands: Iterable[ReceivedCommand], kinds: Container[type]) -> list[ReceivedCommand]:
    """The commands of these kinds, in order.

    No kind has subclasses, so their types are compared: `isinstance` takes five times as long for a pydantic model of
    another class, and a batch is searched for each of these kinds.
    """
    return [command for command in commands if type(command.envelope.data) in kinds]


def whole_gallery_of(command: ReceivedCommand) -> str | None:
    """The gallery whose every item a command handles, or None."""
    data = command.envelope.data
    if type(data) is CreateGallery:
        return data.clone_from_gallery_id
    return command.gallery_id if type(data) in ON_ALL_ITEMS else None
