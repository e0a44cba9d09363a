"""`triptych schemas`: registers the JSON Schemas of the contract in a schema registry."""

import asyncio
from typing import Annotated

import typer

from triptych.cli.exits import ExitStatus
from triptych.cli.output import AsJson, show_json
from triptych.cli.refusals import reporting_refusals
from triptych.cli.schemas.registering import Outcome, State, register_all
from triptych.cli.schemas.registry import open_registry
from triptych.cli.schemas.subjects import subjects
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.process.settings import load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The JSON Schemas of the contract.")


@app.callback()
def schemas() -> None:
    """The JSON Schemas of the contract."""


@app.command(epilog="Example: triptych schemas register --registry https://registry.example.com")
def register(
    registry: Annotated[
        str, typer.Option(help="The address of a registry with Confluent's protocol, without credentials.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register the schema of each record on topics. A repetition changes nothing. Exit status 1 if one is refused."""

    async def run(settings: CliSettings) -> bool:
        has_refusals = False
        async with open_registry(settings, registry) as opened:
            async for outcome in register_all(opened, subjects(Topics(settings.topic_prefix)), dry_run=dry_run):
                _show(outcome, as_json)
                has_refusals |= outcome.state is State.REFUSED
        return has_refusals

    with reporting_refusals():
        has_refusals = asyncio.run(run(load_settings(CliSettings)))
    if has_refusals:
        raise typer.Exit(ExitStatus.NEGATIVE)


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        show_json(outcome.to_wire())
    else:
        print(outcome.to_line(), flush=True)
