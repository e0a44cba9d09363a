"""The command `triptych status`."""

import asyncio
import contextlib
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from triptych.cli.exits import ExitStatus
from triptych.cli.installation import describe, find_installation
from triptych.cli.output import AsJson, show_json
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import CliSettings
from triptych.cli.status.collecting import addresses_of, collect
from triptych.cli.status.screen import screen
from triptych.kit.process.clock import utc_now
from triptych.status.report import Report

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: triptych status --watch")
def status(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Update it until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="Seconds between two updates of --watch.")] = 2.0,
    service: Annotated[
        list[str] | None,
        typer.Option(help="NAME=URL: where a service serves its health, if not at its port here; may be repeated."),
    ] = None,
    services: Annotated[
        bool, typer.Option("--services/--no-services", help="Whether to ask the services for their health.")
    ] = True,
) -> None:
    """Show services, lag, outbox, jobs, deliveries and dead letters. Exit status 1 if something is wrong."""
    with reporting_refusals():
        settings = find_installation(CliSettings)
        addresses = {**addresses_of(settings), **_named(service or [])} if services else {}
        if watch:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(_watch(settings, addresses, interval, as_json=as_json))
            return
        report = asyncio.run(collect(settings, addresses, _now))
        if as_json:
            show_json(report.to_json())
        else:
            Console().print(screen(report, describe(settings)))
    if report.problems():
        raise typer.Exit(ExitStatus.NEGATIVE)


async def _watch(settings: CliSettings, addresses: dict[str, str], interval: float, *, as_json: bool) -> None:
    with contextlib.ExitStack() as stack:
        console = Console()
        is_drawn = console.is_terminal and not as_json
        live = stack.enter_context(Live(console=console, auto_refresh=False)) if is_drawn else None

        def show(report: Report) -> None:
            if as_json:
                show_json(report.to_json())
            elif live is None:
                console.print(screen(report, describe(settings)))
            else:
                live.update(screen(report, describe(settings)), refresh=True)

        while True:
            show(await collect(settings, addresses, _now))
            await asyncio.sleep(interval)


def _named(typed: list[str]) -> dict[str, str]:
    found = {}
    for text in typed:
        name, separator, address = text.partition("=")
        if not separator or not address.startswith(("http://", "https://")):
            raise typer.BadParameter(f"{text!r} is not NAME=URL", param_hint="--service")
        found[name] = address.rstrip("/")
    return found


def _now() -> datetime:
    return utc_now()
