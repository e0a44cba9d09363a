"""`triptych partitions`: shows how many partitions topics have, adds some, and deletes what moved galleries left."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import typer

from triptych.cli.installation import find_installation
from triptych.cli.output import AsJson, show_json
from triptych.cli.partitions.growing import Growing
from triptych.cli.partitions.joined import JoinedTopic
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import CliSettings
from triptych.client import TOMBSTONE_RETENTION
from triptych.contract.topics import Topics
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.own_command import as_typed
from triptych.kit.startup.layouts import Phase, StoredLayout
from triptych.kit.startup.lifecycle import run_work
from triptych.kit.startup.provision import require_topics
from triptych.kit.upgrading.presence import present
from triptych.readmodel.versions import Versions

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The partitions of the topics.")
PRODUCERS_SECONDS = 330.0
"""Producers look at a topic's partitions at least every five minutes, unless they are configured otherwise."""


@app.command(epilog="Example: triptych partitions grow --to 24")
def grow(
    to: Annotated[int, typer.Option(min=2, help="The number of partitions that all topics get: a multiple.")],
    producers: Annotated[
        float, typer.Option(min=0, help="Seconds for producers to notice the new partitions (metadata.max.age.ms).")
    ] = PRODUCERS_SECONDS,
) -> None:
    """Add partitions to all topics while everything runs. If interrupted, run again to resume."""
    with reporting_refusals():
        print(run_work(grow_installation(find_installation(CliSettings), to, producers)))


@app.command(epilog="Example: triptych partitions trim")
def trim(
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait for a day: no consumer of the joined topic is behind.")
    ] = False,
) -> None:
    """A day after partitions were added: delete the records that the joined topic has from before."""
    with reporting_refusals():
        print(run_work(trim_installation(find_installation(CliSettings), timedelta(0) if now else TOMBSTONE_RETENTION)))


@app.command(epilog="Example: triptych partitions show")
def show(as_json: AsJson = False) -> None:
    """Print the number of partitions in use, and what is left to do after some were added."""
    with reporting_refusals():
        found = run_work(_show(find_installation(CliSettings)))
    if as_json:
        show_json(found)
    else:
        growths = ", ".join(f"{growth['former']} to {growth['partitions']}" for growth in found["growths"])
        print(f"partitions in use: {found['partitions']}")
        print(f"being added, to reach: {found['growingTo'] or '-'}")
        print(f"added so far: {growths or '-'}")
        print(f"the joined topic: {found['joinedTopic'] or '-'}")


async def grow_installation(settings: CliSettings, to: int, producers_seconds: float) -> str:
    """Add partitions and show progress; the message to print at the end. Raises what `Growing.run` raises."""
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, list(topics.counts(1)))
    async with open_settings_database(settings) as database, present(database, "partitions"):
        with PhaseBars() as bars:
            has_grown = await Growing(settings, database, to, bars).run(producers_seconds)
            states = await StoredLayout(database, settings.topic_partitions).states()
            if not has_grown and (states is None or states.phase is Phase.TRIMMED):
                return f"All topics use {to} partitions already."
            group = settings.projector_group(await Versions(database).active())
            await JoinedTopic(settings, database, bars).publish_again(group)
    return (
        f"All topics use {to} partitions, and every gallery is published to the joined topic again. "
        f"Set TRIPTYCH_TOPIC_PARTITIONS={to}. After a day, run: {as_typed('partitions trim')}"
    )


async def trim_installation(settings: CliSettings, after: timedelta) -> str:
    """Delete the records from before the growth; the message to print. Raises what `JoinedTopic.trim` raises."""
    async with open_settings_database(settings) as database:
        with PhaseBars() as bars:
            has_trimmed = await JoinedTopic(settings, database, bars).trim(after)
    return "The joined topic has no records from before any more." if has_trimmed else "There was nothing to delete."


async def _show(settings: CliSettings) -> Mapping[str, Any]:
    async with open_settings_database(settings) as database:
        stored = StoredLayout(database, settings.topic_partitions)
        layout, states = await stored.read(), await stored.states()
    return {
        "partitions": layout.partitions,
        "growingTo": layout.growing_to,
        "growths": [
            {
                "former": growth.former,
                "partitions": growth.partitions,
                "ends": {
                    topic: {str(partition): end for partition, end in ends.offsets.items()}
                    for topic, ends in growth.ends.items()
                },
            }
            for growth in layout.growths
        ],
        "joinedTopic": None if states is None else states.phase.value,
    }
