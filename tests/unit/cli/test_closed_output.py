"""A command whose output nobody reads any more ends quietly: Click ends it, and no server is blamed."""

import errno

import pytest
import typer
from typer.testing import CliRunner

from triptych.cli.refusals import reporting_refusals


def test_no_server_is_blamed_when_the_reader_of_the_output_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def show() -> None:
        with reporting_refusals():
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    ended = CliRunner().invoke(app)
    assert (ended.exit_code, ended.output, capsys.readouterr().err) == (1, "", "")
