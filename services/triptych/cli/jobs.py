"""`triptych jobs`: shows long-running work on large galleries (docs/decisions/0004)."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from triptych.cli.database import run_in_database
from triptych.cli.output import AsJson, show_json
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import CliSettings
from triptych.command.store.overview import JobState, Overview
from triptych.kit.failures import StartRefused
from triptych.kit.own_command import as_typed

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Long-running work on large galleries.")
T = TypeVar("T")
_FORM = "{kind:<10} {state:<10} {galleryId}  {steps:>6} steps  since {startedDate}  {failures} failures  {id}"


@app.command(name="list", epilog="Example: triptych jobs list --state failing")
def show_all(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most that are printed.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List jobs, oldest first. A job that has ended is not stored any more."""
    for job in _run(lambda overview: overview.jobs(state, limit)):
        if as_json:
            show_json(job)
        else:
            print(_FORM.format_map({name: "-" if value is None else value for name, value in job.items()}))


@app.command(epilog="Example: triptych jobs show default:12:triptych/cli:6c1f1e0a-7f3e-4c07-9a44-3a8ef6f5b1c7")
def show(job_id: Annotated[str, typer.Argument(help="The id of the job, as listed.")]) -> None:
    """Print a job as JSON, with its progress and the number of commands that wait for it."""
    with reporting_refusals():
        job = _run(lambda overview: overview.job(job_id))
        if job is None:
            raise StartRefused(f"There is no job {job_id}. It may have ended. See: {as_typed('jobs list')}")
    show_json(job)


def _run(work: Callable[[Overview], Awaitable[T]]) -> T:
    return run_in_database(CliSettings, lambda _, database: work(Overview(database)))
