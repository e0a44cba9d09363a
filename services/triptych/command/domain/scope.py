"""Says which gallery a command handles as a whole, and how the size of a gallery is measured, without I/O."""

from typing import NamedTuple

from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.contract.commands import ClearGallery, CreateGallery, DeleteGallery, RebalanceItems, RepublishGallery

ON_ALL_ITEMS = (DeleteGallery, ClearGallery, RebalanceItems, RepublishGallery)


class Size(NamedTuple):
    """The size of a gallery: its number of items and their bytes in BSON."""

    items: int
    bytes: int


def whole_gallery_of(command: ReceivedCommand) -> str | None:
    """The gallery whose every item a command handles, or None."""
    data = command.envelope.data
    if isinstance(data, CreateGallery):
        return data.clone_from_gallery_id
    return command.gallery_id if isinstance(data, ON_ALL_ITEMS) else None
