"""Opens the database of an installation for a command."""

from contextlib import AbstractAsyncContextManager

from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.process.settings import KitSettings


def opened_database(settings: KitSettings) -> AbstractAsyncContextManager[Database]:
    """The database, as `open_settings_database` opens it. Raises StartRefused like it."""
    return open_settings_database(settings)
