"""Opens the database that the settings name, and checks whether it answers. Every process and command uses this."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from triptych.kit.mongo.credentials import client_options
from triptych.kit.mongo.driver import Database, open_database
from triptych.kit.mongo.schema_version import require_usable
from triptych.kit.process.mongo_settings import MongoSettings


@asynccontextmanager
async def open_settings_database(settings: MongoSettings) -> AsyncIterator[Database]:
    """The database of an installation; see `open_database`.

    Raises:
        StartRefused: a setting cannot be used, or the data is of a schema version that this build must not use; as well
            as what `open_database` raises.
    """
    options = client_options(settings)
    async with open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver, options) as database:
        await require_usable(database)
        yield database


def answering(database: Database) -> Callable[[], Awaitable[None]]:
    """A check for readiness. It raises an error of the driver if the server does not answer."""

    async def ping() -> None:
        await database.command("ping")

    return ping
