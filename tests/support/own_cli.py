"""Runs the command line in this process, as a shell would."""

import asyncio
import json
from typing import Any

from typer.testing import CliRunner, Result

from tests.support.installation import Installation
from triptych.cli.__main__ import app


async def typed(installation: Installation, *words: str, **environ: str) -> Result:
    """What a command prints, and its status. It has an event loop of its own, on another thread."""
    env = {**installation.environ(), **environ}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, words, env=env))


def printed(done: Result, status: int = 0) -> list[dict[str, Any]]:
    """The JSON lines that a command printed."""
    assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
    return [json.loads(line) for line in done.stdout.splitlines()]
