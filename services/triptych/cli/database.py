"""Runs the work of a command on the database of its installation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from triptych.cli.installation import find_installation
from triptych.cli.refusals import reporting_refusals
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.process.settings import KitSettings

SettingsT = TypeVar("SettingsT", bound=KitSettings)
T = TypeVar("T")


def run_in_database(kind: type[SettingsT], work: Callable[[SettingsT, Database], Awaitable[T]]) -> T:
    """Run `work` with the settings, of class `kind`, and the database of the installation that the environment names.

    A refusal is printed and ends the command; see `reporting_refusals`.
    """

    async def run() -> T:
        settings = find_installation(kind)
        async with open_settings_database(settings) as database:
            return await work(settings, database)

    with reporting_refusals():
        return asyncio.run(run())
