"""Library for producers and consumers: sends commands, and builds galleries from the topics.

What needs no further packages is imported at once. `Commands` and `GalleryConsumer` need the extra `client`, and are
imported when they are first used.
"""

from typing import TYPE_CHECKING

from triptych.client.assembly import Snapshot, SnapshotAssembler
from triptych.client.commands.errors import CommandRejected, NoReply
from triptych.client.failures import KafkaUnavailable
from triptych.client.galleries import TOMBSTONE_RETENTION, Galleries, ReadAgain
from triptych.client.joined.memory import MemoryStorage
from triptych.client.joined.rules import Change
from triptych.client.joined.storage import GalleryStorage

if TYPE_CHECKING:
    from triptych.client.commands.client import Commands
    from triptych.client.commands.many import create_many
    from triptych.client.joined.consumer import GalleryConsumer
    from triptych.client.joined.sqlite import SQLiteStorage

__all__ = [
    "TOMBSTONE_RETENTION",
    "Change",
    "CommandRejected",
    "Commands",
    "Galleries",
    "GalleryConsumer",
    "GalleryStorage",
    "KafkaUnavailable",
    "MemoryStorage",
    "NoReply",
    "ReadAgain",
    "SQLiteStorage",
    "Snapshot",
    "SnapshotAssembler",
    "create_many",
]

_LATER = {
    "Commands": "triptych.client.commands.client",
    "create_many": "triptych.client.commands.many",
    "GalleryConsumer": "triptych.client.joined.consumer",
    "SQLiteStorage": "triptych.client.joined.sqlite",
}
"""The modules of names that need more packages, or a part of Python that not every build has."""


def __getattr__(name: str) -> object:
    """Import what needs more packages. Raises ImportError, which says what to install, if they are not there."""
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)
