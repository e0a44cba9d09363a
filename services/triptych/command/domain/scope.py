"""Which galleries a command deals with as a whole, and how large a gallery is, purely."""

from typing import NamedTuple

from triptych.command.domain.unit_of_work import PlacedCommand
from triptych.contract.commands import ClearGallery, CreateGallery, DeleteGallery, RebalanceItems, RepublishGallery

ON_ALL_ITEMS = (DeleteGallery, ClearGallery, RebalanceItems, RepublishGallery)


class Size(NamedTuple):
    """How large a gallery is."""

    items: int
    bytes: int


def whole_gallery_of(command: PlacedCommand) -> str | None:
    """The gallery of which a command deals with every item, if there is one."""
    data = command.envelope.data
    if isinstance(data, CreateGallery):
        return data.clone_from_gallery_id
    return command.gallery_id if isinstance(data, ON_ALL_ITEMS) else None
