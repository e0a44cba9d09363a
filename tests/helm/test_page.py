"""What docs/kubernetes.md tells a reader to type exists, and what needs no cluster works."""

import shlex
from typing import Any

import pytest
import yaml
from typer.main import get_command

from tests.support.helm.chart import EXAMPLES, run_helm
from tests.support.pages import ROOT, blocks, steps
from triptych.cli.__main__ import app

PAGE = ROOT / "docs" / "kubernetes.md"
COMMANDS = [step.command for block in blocks(PAGE) if block.language == "bash" for step in steps(block)]


def test_the_smallest_values_are_those_of_the_example() -> None:
    first = next(block.text for block in blocks(PAGE) if block.language == "yaml")
    assert yaml.safe_load(first) == yaml.safe_load(EXAMPLES["plain"].read_text())


@pytest.mark.usefixtures("helm")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("helm ")])
def test_helm_renders_what_it_would_install(command: str) -> None:
    words = shlex.split(command)[1:]
    # Without a cluster, there is nothing to upgrade and nothing to wait for.
    install = ["upgrade", "--install"]
    words = ["template", *words[2:]] if words[:2] == install else words
    done = run_helm(*(word for word in words if word != "--wait"))
    assert done.returncode == 0, done.stderr
    assert "kind: StatefulSet" in done.stdout


def test_every_command_within_a_pod_exists() -> None:
    typed = [shlex.split(command.partition(" -- ")[2]) for command in COMMANDS if " exec " in command]
    assert len(typed) >= 4
    command: Any = get_command(app)
    for words in typed:
        assert words[0] == "triptych"
        assert words[1] in command.commands, words
