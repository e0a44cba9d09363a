"""`triptych restore-check`: says what a restored MongoDB or Kafka would do, and changes nothing."""

import typer

from triptych.cli.exits import ExitStatus
from triptych.cli.installation import find_installation
from triptych.cli.output import AsJson, show_json
from triptych.cli.partitions.in_force import settings_in_force
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.restore.examination import find
from triptych.cli.restore.findings import Findings
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.startup.lifecycle import run_work
from triptych.kit.startup.provision import require_topics

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: triptych restore-check --json")
def restore_check(as_json: AsJson = False) -> None:
    """Say what would happen after a restore of MongoDB or Kafka. Exit status 1 if a repair is needed."""
    with reporting_refusals():
        findings = run_work(check(find_installation(CliSettings)))
    if as_json:
        show_json(findings.to_json())
    else:
        problems = [f"- {problem.text}" for problem in findings.problems()]
        typer.echo("\n".join([*problems, *findings.advice()]) or "MongoDB and the topics fit together")
    if findings.problems():
        raise typer.Exit(ExitStatus.NEGATIVE)


async def check(settings: CliSettings) -> Findings:
    """Compare MongoDB with the topics, and show progress.

    Raises:
        StartRefused, TransientFailure: Kafka or MongoDB cannot be used, or topics are missing.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.commands, topics.events, topics.galleries])
    async with open_settings_database(settings) as database:
        settings = await settings_in_force(settings, database)
        with PhaseBars() as bars:
            return await find(settings, database, bars.report)
