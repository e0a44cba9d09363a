"""Runs Triptych in containers as the README says, under names and ports that no other deployment uses."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from triptych.devstack.containers import gateway_of
from triptych.devstack.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("command", "projector", "webhooks", "gateway")
IMAGE = "triptych:test-deploy"
BUILD_SECONDS, COMMAND_SECONDS = 900.0, 300.0
PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def engine_missing() -> str | None:
    """Why nothing can be deployed here, or None if it can."""
    for command, lacks in (
        (("docker", "version"), "no Docker engine answers"),
        (("docker", "compose", "version"), "there is no Docker Compose of version 2"),
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{lacks}: {error}"
        if done.returncode != 0:
            return f"{lacks}: {done.stderr.strip()}"
    return None


@dataclass(frozen=True)
class Deployment:
    """A deployment: its name, the ports that it publishes, and a file with settings of its own."""

    project: str
    gateway_port: int
    kafka_port: int
    env_file: Path

    @property
    def gateway(self) -> str:
        """The address of the gateway."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def kafka_bootstrap(self) -> str:
        """The address of Kafka for programs on this machine."""
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def environ(self) -> Mapping[str, str]:
        """What a shell needs for `docker compose` to mean this deployment."""
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "TRIPTYCH_IMAGE": IMAGE,
            "TRIPTYCH_GATEWAY_PORT": str(self.gateway_port),
            "TRIPTYCH_KAFKA_PORT": str(self.kafka_port),
            "TRIPTYCH_ENV_FILE": str(self.env_file),
        }

    def compose(self, *words: str, seconds: float = COMMAND_SECONDS) -> str:
        """Run `docker compose` in the root of the checkout. Returns what it prints on stdout."""
        return run(["docker", "compose", *words], self.environ, seconds)

    def cli(self, *words: str) -> str:
        """Run a command of `triptych` in a container."""
        return self.compose("run", "--rm", "-T", "cli", *words)

    def inspect(self, service: str) -> Mapping[str, Any]:
        """What the engine knows of the only container of a service, also if that has ended."""
        name = self.compose("ps", "--all", "--quiet", service).strip()
        found: list[Mapping[str, Any]] = json.loads(run(["docker", "inspect", name]))
        return found[0]

    @cached_property
    def host_address(self) -> str:
        """The address of this machine for containers of the deployment."""
        (network,) = json.loads(run(["docker", "network", "inspect", f"{self.project}_default"]))
        return gateway_of(network)

    def build(self) -> float:
        """Build the image. Returns the seconds that it took."""
        started = time.monotonic()
        self.compose("build", "--quiet", seconds=BUILD_SECONDS)
        return time.monotonic() - started

    def up(self) -> float:
        """Start everything, and wait until it is healthy. Returns the seconds that it took."""
        started = time.monotonic()
        self.compose("up", "--detach", "--wait", "--no-build", "--quiet-pull")
        return time.monotonic() - started

    def down(self) -> None:
        """Remove the containers and their data."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "30")


def image_bytes() -> int:
    """The size of the image."""
    return int(run(["docker", "image", "inspect", "--format", "{{.Size}}", IMAGE]))


def run(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    seconds: float = COMMAND_SECONDS,
    *,
    status: int = 0,
) -> str:
    """Run a command in the root of the checkout. Returns what it prints on stdout; on both outputs if it should fail.

    Raises AssertionError with the output if its exit status is another.
    """
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    words = " ".join(command)
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if status == 0 else done.stdout + done.stderr


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """The names of a deployment; whatever the block starts under them is removed at its end.

    Its relay may deliver to private networks, because the receivers of tests run on this machine.
    """
    gateway_port, kafka_port = free_ports(2)
    env_file = folder / "settings.env"
    env_file.write_text(f"TRIPTYCH_WEBHOOKS_ALLOWED_NETWORKS={PRIVATE_NETWORKS}\n")
    made = Deployment(f"triptych-test-{gateway_port}", gateway_port, kafka_port, env_file)
    try:
        yield made
    finally:
        made.down()
