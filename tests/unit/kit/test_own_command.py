"""Messages name a command as their reader can type it."""

import sys
from pathlib import Path

import pytest

from triptych.kit.own_command import as_typed


def test_it_is_spelled_as_it_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(commands / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert as_typed("keys list") == "triptych keys list"
    command = commands / "triptych"
    command.touch(mode=0o755)
    assert as_typed("keys list") == ".venv/bin/triptych keys list"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert as_typed("keys list") == f"{command} keys list"
    monkeypatch.setenv("PATH", str(commands))
    assert as_typed("keys list") == "triptych keys list"
