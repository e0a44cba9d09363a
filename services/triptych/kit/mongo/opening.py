"""Opens the database that the settings name, and checks whether it answers. Every process and command uses this."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from triptych.kit.mongo.credentials import client_options
from triptych.kit.mongo.driver import Database, open_database
from triptych.kit.process.mongo_settings import MongoSettings


def open_settings_database(settings: MongoSettings) -> AbstractAsyncContextManager[Database]:
    """The database of an installation; see `open_database`.

    Raises:
        StartRefused: a setting cannot be used, as well as what `open_database` raises.
    """
    return open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver, client_options(settings))


def answering(database: Database) -> Callable[[], Awaitable[None]]:
    """A check for readiness. It raises an error of the driver if the server does not answer."""

    async def ping() -> None:
        await database.command("ping")

    return ping
