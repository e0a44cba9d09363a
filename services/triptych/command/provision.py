"""Gathers the indexes of the command service's collections."""

from triptych.command.settings import CommandSettings
from triptych.command.store import documents, outbox
from triptych.kit.mongo import fencing
from triptych.kit.mongo.driver import IndexModel


def indexes(settings: CommandSettings) -> dict[str, list[IndexModel]]:
    """Every index that the service relies on, by collection."""
    return {
        **documents.indexes(settings.processed_retention),
        **outbox.indexes(settings.outbox_retention),
        **fencing.INDEXES,
    }
