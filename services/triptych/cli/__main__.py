"""The `triptych` command: one short function for each subcommand. Groups are imported when they are used."""

import asyncio
import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli.exits import ExitStatus
from triptych.cli.lazy import lazy_group
from triptych.cli.output import AsJson, show_json
from triptych.cli.refusals import reporting_refusals
from triptych.cli.sites import Site
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID

if TYPE_CHECKING:
    from triptych.cli.settings import CliSettings

GROUPS = {
    "status": ("triptych.cli.status.command", "Show services, lag, outbox, jobs, deliveries and dead letters."),
    "migrate": ("triptych.cli.migrate", "Change stored data to the shape of this version."),
    "republish": ("triptych.cli.republish", "Publish the state of galleries on the events topic again."),
    "restore-check": (
        "triptych.cli.restore.check_command",
        "Say what would happen after a restore of MongoDB or Kafka.",
    ),
    "restore-repair": ("triptych.cli.restore.repair_command", "Make MongoDB and the topics fit after a restore."),
    "export": ("triptych.cli.transfer.export_command", "Write galleries with their items to a file, as NDJSON."),
    "import": ("triptych.cli.transfer.import_command", "Create galleries and items from a file."),
    "partitions": ("triptych.cli.partitions.command", "The number of partitions of the topics, and adding some."),
    "schemas": ("triptych.cli.schemas.command", "The JSON Schemas of the contract."),
    "jobs": ("triptych.cli.jobs", "Long-running work on large galleries."),
    "config": ("triptych.cli.config", "The settings of this installation."),
    "cluster": (
        "triptych.cli.cluster.command",
        "Run three Kafka nodes, three MongoDB members and two processes of each service until Ctrl-C.",
    ),
    "cluster-kill": ("triptych.cli.cluster.kill_command", "Kill parts of the cluster that runs in this folder."),
    "keys": ("triptych.cli.keys", "API keys of the gateway."),
    "listeners": ("triptych.cli.listener_test", "External listeners of events (webhooks)."),
    "deliveries": ("triptych.cli.deliveries", "Show deliveries to listeners, and send them again."),
    "dead-letters": (
        "triptych.cli.dead_letters.command",
        "Refused records: show them, send them again, or drop them.",
    ),
}
"""The commands and groups that have a module of their own: the module, and the help in the list of commands."""

app = typer.Typer(
    cls=lazy_group(GROUPS), no_args_is_help=True, help="Triptych, an event-driven gallery backend.", name="triptych"
)


class Shell(StrEnum):
    """A shell that can complete commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"triptych {version('triptych')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Triptych, an event-driven gallery backend."""


@app.command(epilog="Example: triptych up")
def up() -> None:
    """Run Kafka, MongoDB and the services on this machine until Ctrl-C."""
    from triptych.cli.settings import CliSettings
    from triptych.cli.up import up as run
    from triptych.kit.logs.setup import configure_logging
    from triptych.kit.process.settings import load_settings

    with reporting_refusals():
        settings = load_settings(CliSettings)
        configure_logging("cli", settings.log_level, settings.log_format, settings.secret_values())
        run(settings)


@app.command(epilog="Example: triptych provision")
def provision(
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to keep trying while Kafka or MongoDB does not answer.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Create missing topics and indexes, and store the schema version."""
    with reporting_refusals():
        from triptych.cli.provision import provision_within as run

        created = asyncio.run(run(_settings(), wait))
    if as_json:
        show_json({"created": created})
    else:
        print("\n".join(f"created {name}" for name in created) or "nothing was missing")


@app.command(epilog='Example: triptych send CreateGallery \'{"gallery": {"name": "From a shell"}}\'')
def send(
    name: Annotated[str, typer.Argument(help="The name of the command, such as CreateItems.")],
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
    show_json(reply)
    if reply.get("outcome") != "accepted":
        raise typer.Exit(ExitStatus.NEGATIVE)


@app.command(epilog="Example: triptych watch")
def watch(as_json: AsJson = False) -> None:
    """Print a line for each event as it happens, until Ctrl-C."""
    from triptych.cli.watch import watch as run

    with reporting_refusals(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(_settings(), lambda line: print(line, flush=True), as_json=as_json))


@app.command(epilog="Example: triptych rebuild")
def rebuild() -> None:
    """Build new views while the old ones serve reads, check them, and switch. If interrupted, run again to resume."""
    from triptych.cli.rebuild import rebuild as run
    from triptych.kit.startup.lifecycle import run_work

    with reporting_refusals():
        print(run_work(run(_settings())))


@app.command(epilog="Example: triptych verify")
def verify(as_json: AsJson = False) -> None:
    """Compare views and joined topic with the write model, gallery by gallery. Exit status 1 if one differs."""
    from triptych.cli.verify import verify as run
    from triptych.kit.startup.lifecycle import run_work

    with reporting_refusals():
        differences = run_work(run(_settings()))
    if as_json:
        show_json({"equal": not differences, "differences": differences})
    else:
        print("\n".join(differences) or "the views and the joined topic are equal to the write model")
    if differences:
        raise typer.Exit(ExitStatus.NEGATIVE)


@app.command(epilog="Example: triptych forget-history f923b945-6df0-4a20-891e-668b0eb4a030")
def forget_history(
    gallery_id: Annotated[str, typer.Argument(help="The id of the gallery.")], as_json: AsJson = False
) -> None:
    """Remove the former states of a gallery from the history. The gallery itself stays as it is."""
    from triptych.cli.forget_history import forget_history as run

    with reporting_refusals():
        removed = run(gallery_id)
    if as_json:
        show_json({"galleryId": gallery_id, "removed": removed})
    else:
        print(f"removed {removed} rows")


@app.command(epilog="Example: triptych completion bash > ~/.local/share/bash-completion/completions/triptych")
def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print the script that lets a shell complete commands and options."""
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="triptych", complete_var="_TRIPTYCH_COMPLETE", shell=shell.value))


@app.command(epilog="Example: triptych probe gateway")
def probe(
    services: Annotated[
        list[str] | None, typer.Argument(help="Names of services; without any, all that run on this machine.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Accept a service that answers but is not ready.")] = False,
) -> None:
    """Ask services on this machine whether they are ready. Exit status 1 if one is not."""
    from triptych.cli import probe as probing

    raise typer.Exit(probing.main([*(["--live"] if live else []), *(services or [])]))


def _settings() -> "CliSettings":
    from triptych.cli.installation import find_installation
    from triptych.cli.settings import CliSettings

    return find_installation(CliSettings)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
