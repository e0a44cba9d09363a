"""`triptych migrate`: carries out the migrations that are due, step by step."""

import asyncio
from typing import Annotated

import typer

from triptych.cli.installation import find_installation
from triptych.cli.migrations import MIGRATIONS
from triptych.cli.output import AsJson, show_json
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.waiting import repeated_within
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.mongo.schema_version import read_stored_version
from triptych.kit.process.settings import KitSettings
from triptych.kit.upgrading.migrating import Migrator

app = typer.Typer()


@app.command(epilog="Example: triptych migrate")
def migrate(
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to keep trying while a server does not answer, an older process runs, or another "
            "process migrates.",
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Change stored data to the shape of this version. If interrupted, run again to resume. See docs/upgrading.md."""
    with reporting_refusals():
        settings = find_installation(KitSettings)
        carried_out, version = asyncio.run(repeated_within(wait, lambda: _migrate(settings)))
    if as_json:
        show_json({"migrated": carried_out, "version": version})
    else:
        print("\n".join(f"migrated {name}" for name in carried_out) or "no migration was due")
        print(f"the data has schema version {version}")


async def _migrate(settings: KitSettings) -> tuple[list[str], int]:
    async with open_settings_database(settings) as database:
        with PhaseBars() as bars:
            carried_out = await Migrator(database, MIGRATIONS).run(bars.report)
        return carried_out, (await read_stored_version(database)).version
