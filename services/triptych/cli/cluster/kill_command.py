"""The command `triptych cluster-kill`."""

from typing import Annotated

import typer

from triptych.cli.cluster.parts_file import kill
from triptych.cli.refusals import reporting_refusals

app = typer.Typer(add_completion=False)


@app.command(name="cluster-kill", epilog="Example: triptych cluster-kill kafka-2 mongo-1 command-1")
def cluster_kill(
    names: Annotated[list[str], typer.Argument(help="Parts of the cluster, such as kafka-2, mongo-1 or command-1.")],
) -> None:
    """Kill parts of the cluster that `make cluster` runs in this folder, all at the same moment, with SIGKILL."""
    with reporting_refusals():
        for name, pid in kill(names).items():
            print(f"killed {name}, process {pid}")
