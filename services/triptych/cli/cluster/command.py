"""The command `triptych cluster`."""

import logging
from typing import Annotated

import typer

from triptych.cli.cluster.running import run_cluster
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import CliSettings
from triptych.kit.logs.setup import configure_logging
from triptych.kit.process.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: triptych cluster")
def cluster(
    restart_after: Annotated[
        float, typer.Option(min=0, help="Seconds after which a part that has ended starts again.")
    ] = 15,
) -> None:
    """Run three Kafka nodes, three MongoDB members and two processes of each service until Ctrl-C."""
    with reporting_refusals():
        settings = load_settings(CliSettings)
        configure_logging("cli", settings.log_level, settings.log_format, settings.secret_values())
        for driver in ("aiokafka", "pymongo"):  # they report each part that is away, and the line shows that
            logging.getLogger(driver).setLevel(logging.CRITICAL)
        run_cluster(settings, restart_after)
