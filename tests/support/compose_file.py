"""Reads deploy/compose.yaml as Docker Compose does, with the default of each variable in it."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
SERVICES = ("command", "projector", "webhooks", "gateway")
OURS = (*SERVICES, "provision", "cli")

VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+):-(?P<default>[^}]*)\}")


def read_compose() -> dict[str, Any]:
    """The content of the file, with defaults for variables and merged anchors."""
    text = VARIABLE.sub(lambda found: found["default"], COMPOSE.read_text())
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def variables() -> set[str]:
    """The variables that the file takes from the shell or from `.env`."""
    return {found["name"] for found in VARIABLE.finditer(COMPOSE.read_text())}


def seconds(duration: str) -> float:
    """The length of a duration in whole seconds, such as `30s`."""
    assert duration.endswith("s"), duration
    return float(duration.removesuffix("s"))
