"""The `triptych` command: one short function for each subcommand."""

import asyncio
import contextlib
from typing import Annotated

import orjson
import typer

from triptych.cli import deliveries, keys, listener_test, listeners
from triptych.cli import probe as probing
from triptych.cli.installation import find_installation
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import CliSettings
from triptych.cli.sites import Site
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.kit.process.settings import load_settings
from triptych.kit.process.telemetry import configure_logging

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Triptych, an event-driven gallery backend.")
app.add_typer(keys.app, name="keys")
listeners.app.command(name="test")(listener_test.send_test)
app.add_typer(listeners.app, name="listeners")
app.add_typer(deliveries.app, name="deliveries")


@app.command()
def up() -> None:
    """Run Kafka, MongoDB and the services on this machine until Ctrl-C."""
    from triptych.cli.up import up as run

    with reporting_refusals():
        run(_quiet(load_settings(CliSettings)))


@app.command()
def provision(
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to keep trying while Kafka or MongoDB does not answer.")
    ] = 0,
) -> None:
    """Create missing topics and indexes."""
    from triptych.cli.provision import provision_within as run

    with reporting_refusals():
        created = asyncio.run(run(_settings(), wait))
        print("\n".join(f"created {name}" for name in created) or "nothing was missing")


@app.command()
def send(
    name: Annotated[str, typer.Argument(help="CreateGallery, CreateItems, ...")],
    data: Annotated[str, typer.Argument(help="The command's data as JSON.")] = "{}",
    site: Site = DEFAULT_SITE_ID,
    command_id: Annotated[
        str | None, typer.Option("--id", help="The id of the command. The same id twice has one effect.")
    ] = None,
) -> None:
    """Send one command over Kafka and print the reply. Exit status 1 if the command was rejected."""
    from triptych.cli.send import read_command
    from triptych.cli.send import send as run

    with reporting_refusals():
        reply = asyncio.run(run(_settings(), read_command(name, data, site, command_id)))
    print(orjson.dumps(reply).decode())
    if reply.get("outcome") != "accepted":
        raise typer.Exit(1)


@app.command()
def watch() -> None:
    """Print a line for each event as it happens, until Ctrl-C."""
    from triptych.cli.watch import watch as run

    with reporting_refusals(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(_settings(), lambda line: print(line, flush=True)))


@app.command()
def rebuild() -> None:
    """Build new views while the old ones serve reads, check them, and switch. If interrupted, run again to resume."""
    from triptych.cli.rebuild import rebuild as run
    from triptych.kit.startup.lifecycle import run_work

    with reporting_refusals():
        print(run_work(run(_settings())))


@app.command()
def verify() -> None:
    """Compare views and joined topic with the write model, gallery by gallery. Exit status 1 if one differs."""
    from triptych.cli.verify import verify as run
    from triptych.kit.startup.lifecycle import run_work

    with reporting_refusals():
        differences = run_work(run(_settings()))
    print("\n".join(differences) or "the views and the joined topic are equal to the write model")
    if differences:
        raise typer.Exit(1)


@app.command()
def probe(
    services: Annotated[list[str] | None, typer.Argument(help="Their names; without any, all that run here.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Accept a service that answers but is not ready.")] = False,
) -> None:
    """Ask services on this machine whether they are ready. Exit status 1 if one is not."""
    raise typer.Exit(probing.main([*(["--live"] if live else []), *(services or [])]))


def _settings() -> CliSettings:
    return _quiet(find_installation(CliSettings))


def _quiet(settings: CliSettings) -> CliSettings:
    configure_logging("WARNING", settings.log_format)
    return settings


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
