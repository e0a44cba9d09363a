"""Says which gallery a command handles as a whole, and how much commands may load and publish together; pure."""

from collections.abc import Container, Iterable
from typing import NamedTuple

from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.contract.commands import ClearGallery, CreateGallery, DeleteGallery, RebalanceItems, RepublishGallery
from triptych.contract.item import ITEM_BYTES_MAX

ON_ALL_ITEMS = frozenset({DeleteGallery, ClearGallery, RebalanceItems, RepublishGallery})
"""The kinds of commands that handle every item of a gallery."""

TRANSACTION_BYTES = 16 * 1024 * 1024
"""The bytes of items that the commands of a transaction load, and of events that they publish. One alone may exceed it.

A command is short, and the item that it changes may be large: 2,000 of them would publish up to 500 MB.
"""

FEW_ITEMS = TRANSACTION_BYTES // ITEM_BYTES_MAX
"""This many items never have more bytes, however large they are."""


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
