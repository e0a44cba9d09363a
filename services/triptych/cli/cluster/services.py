"""Runs the services of a local cluster: two processes of each, on free ports."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from triptych.cli.local import is_ready, say, service_environ
from triptych.cli.settings import CliSettings
from triptych.cli.up import SERVICES, START_SECONDS, STOP_SECONDS
from triptych.devstack.children import Child
from triptych.devstack.parts import Part
from triptych.devstack.ports import LOOPBACK, free_ports
from triptych.kit.process.settings import PREFIX

PROCESSES = 2
"""Processes of each service: with fewer, none would be left when one dies."""


@contextmanager
def running_services(settings: CliSettings, logs: Path) -> Iterator[Mapping[str, tuple[Part, ...]]]:
    """The processes of each service, by its name; ready. They stop in order after the block.

    Raises:
        StackUnavailable: a process has ended while starting, or was not ready in time.
    """
    environ = {**service_environ(settings), f"{PREFIX}HOST": LOOPBACK}
    ports = iter(free_ports(len(SERVICES) * PROCESSES))
    services = {
        name: tuple(_part(name, number, next(ports), environ, logs) for number in range(1, PROCESSES + 1))
        for name in SERVICES
    }
    parts = [part for processes in services.values() for part in processes]
    with ExitStack() as stack:
        say(f"starting {PROCESSES} processes of each: {', '.join(SERVICES)}")
        for part in parts:
            stack.callback(part.stop, STOP_SECONDS)
            part.start()
        for part in parts:
            part.wait_until(partial(_answers, f"http://{LOOPBACK}:{part.port}"), timeout=START_SECONDS)
        yield services


def _answers(address: str, _process: Child) -> bool:
    return is_ready(address)


def _part(name: str, number: int, port: int, environ: Mapping[str, str], logs: Path) -> Part:
    own = {**environ, f"{PREFIX}{name.upper()}_PORT": str(port)}
    return Part(f"{name}-{number}", [sys.executable, "-m", f"triptych.{name}"], port=port, logs=logs, env=own)
