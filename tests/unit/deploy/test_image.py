"""The Dockerfile agrees with the project, and the image that it describes runs without rights."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.compose_file import DEPLOY, ROOT, SERVICES, read_compose
from triptych.cli.__main__ import app
from triptych.kit.process.settings import PREFIX, KitSettings

LINES = [
    line.strip()
    for line in (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
LAST_STAGE = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRYPOINT = DEPLOY / "entrypoint.sh"


def instructions(name: str, lines: list[str]) -> list[str]:
    """The arguments of every instruction of this name."""
    return [line.removeprefix(f"{name} ").strip() for line in lines if line.startswith(f"{name} ")]


def test_versions_are_those_of_the_project() -> None:
    assert f"VERSION={PROJECT['version']}" in instructions("ARG", LINES)
    images = {container["image"] for name, container in read_compose()["services"].items() if name in SERVICES}
    assert images == {f"triptych:{PROJECT['version']}"}
    (python,) = [argument for argument in instructions("ARG", LINES) if argument.startswith("PYTHON_IMAGE=")]
    assert PROJECT["requires-python"] == f">={re.findall(r'[0-9]+[.][0-9]+', python)[0]}"


def test_the_process_is_an_unprivileged_user_by_number() -> None:
    (user,) = instructions("USER", LAST_STAGE)
    assert all(int(number) >= 10_000 for number in user.split(":"))
    # Kubernetes' `runAsNonRoot` can judge a number only.
    assert user.count(":") == 1


def test_the_last_stage_installs_nothing() -> None:
    assert not [line for line in instructions("RUN", LAST_STAGE) if re.search(r"\b(apt|apt-get|pip|curl|wget)\b", line)]


def test_libraries_come_as_wheels_of_the_pinned_versions() -> None:
    installs = [
        part
        for line in instructions("RUN", LINES)
        for part in line.split("&&")
        if re.search(r"\bpip\b.* install ", part)
    ]
    assert installs
    for command in installs:
        assert ("--only-binary :all: -c constraints.txt" in command) or ("--no-deps --no-index" in command), command


def test_nothing_fetches_the_syntax_of_the_file_from_elsewhere() -> None:
    assert not (DEPLOY / "Dockerfile").read_text().startswith("# syntax")


def test_health_is_the_probe() -> None:
    (check,) = instructions("HEALTHCHECK", LAST_STAGE)
    assert check.endswith('CMD ["python", "-m", "triptych.cli.probe"]')


def test_environment_names_settings() -> None:
    given = re.findall(rf"{PREFIX}([A-Z_]+)=", " ".join(instructions("ENV", LINES)))
    assert given == ["HOST", "BUILD_COMMIT"]
    assert {name.lower() for name in given} <= set(KitSettings.model_fields)


def test_what_is_copied_exists_and_is_let_in() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for arguments in instructions("COPY", LINES)
        if not arguments.startswith("--from=")
        for source in arguments.split()[:-1]
    ]
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / source).exists() for source in copied)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


@pytest.mark.parametrize("role", [*SERVICES, "provision", "keys", "probe"])
def test_the_entry_point_knows_each_role(role: str, tmp_path: Path) -> None:
    for name in ("python", "triptych"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ENTRYPOINT, role, "more"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = f"python -m triptych.{role}" if role in SERVICES else f"triptych {role} more"
    assert done.stdout.strip() == expected


def test_no_command_of_the_command_line_has_the_name_of_a_service() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert not (commands | {group.name for group in app.registered_groups}) & set(SERVICES)
