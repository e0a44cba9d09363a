"""Opens the database of an installation for a command."""

from contextlib import AbstractAsyncContextManager

from triptych.kit.mongo.driver import Database, open_database
from triptych.kit.process.settings import KitSettings


def opened_database(settings: KitSettings) -> AbstractAsyncContextManager[Database]:
    """The database, as `triptych.kit.mongo.driver.open_database` opens it. Raises StartRefused like it."""
    return open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver)
