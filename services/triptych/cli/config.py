"""`triptych config`: shows the effective settings of an installation, and where each comes from."""

from typing import Annotated, Any

import typer

from triptych.cli.effective import effective_settings
from triptych.cli.installation import running_settings
from triptych.cli.output import AsJson, show_json
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import SETTINGS_OF, Process
from triptych.kit.process.settings import load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The settings of this installation.")


@app.callback()
def group() -> None:
    """The settings of this installation."""


@app.command(epilog="Example: triptych config show gateway")
def show(
    process: Annotated[
        Process, typer.Argument(help="Whose settings. The command line reads those of all services.")
    ] = Process.CLI,
    changed: Annotated[bool, typer.Option("--changed", help="Only settings that are not at their default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show each setting as a process started here would read it, and where it comes from. Secrets are not shown."""
    with reporting_refusals():
        stack: dict[str, Any] = dict(running_settings())
        settings = load_settings(SETTINGS_OF[process], stack)
    for setting in effective_settings(settings, stack):
        if changed and setting.source == "default":
            continue
        if as_json:
            show_json(setting._asdict())
        else:
            value = "(unset)" if setting.value is None else setting.value
            print(f"{setting.variable:<42} {value:<44} {setting.source}")
