"""`triptych restore-repair`: makes MongoDB and the topics fit together again, while no service runs."""

from typing import Annotated

import typer

from triptych.cli.installation import find_installation
from triptych.cli.output import AsJson, show_json
from triptych.cli.partitions.in_force import settings_in_force
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.restore.repair import Repaired, RepairRun
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.own_command import as_typed
from triptych.kit.startup.lifecycle import run_work
from triptych.kit.startup.provision import require_topics
from triptych.kit.upgrading.presence import present

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: triptych restore-repair")
def restore_repair(
    discard_commands: Annotated[
        bool,
        typer.Option("--discard-commands", help="Leave lost what the commands since the backup have changed."),
    ] = False,
    raise_all: Annotated[
        bool,
        typer.Option(
            "--raise-all", help="Consumers have seen more than both MongoDB and the topics have: raise every gallery."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make MongoDB and the topics fit after a restore. Stop all services first. If interrupted, run again to resume."""
    with reporting_refusals():
        settings = find_installation(CliSettings)
        repaired = run_work(repair(settings, discards_commands=discard_commands, raises_all=raise_all))
    if as_json:
        show_json(
            {
                "galleriesCorrected": repaired.corrected,
                "groupsMoved": repaired.groups,
                "joinedGalleriesRequested": repaired.requested,
            }
        )
        return
    typer.echo(
        f"corrected {repaired.corrected:,} galleries; set the offsets of {repaired.groups} consumer groups; "
        f"{repaired.requested:,} galleries of the joined topic wait for the projector\n"
        f"Start the services, and run: {as_typed('republish --all')}"
    )


async def repair(settings: CliSettings, *, discards_commands: bool = False, raises_all: bool = False) -> Repaired:
    """Repair and show progress. Raises what `RepairRun.carry_out` raises."""
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.commands, topics.events, topics.galleries])
    async with open_settings_database(settings) as database, present(database, "restore-repair"):
        settings = await settings_in_force(settings, database)
        with PhaseBars() as bars:
            run = RepairRun(settings, database, bars.report)
            return await run.carry_out(discards_commands=discards_commands, raises_all=raises_all)
