"""Runs services as separate processes, for tests that kill them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.forks import start_fork
from tests.support.installation import Installation
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports


@contextmanager
def service_process(installation: Installation, module: str, directory: Path, **fields: object) -> Iterator[Child]:
    """Run `python -m module` with the installation's settings and a free port; it is ended after the block."""
    (port,) = free_ports(1)
    ports = {f"{name}_port": port for name in ("command", "projector", "gateway", "webhooks")}
    environ = {**os.environ, **installation.environ(**ports, **fields)}
    child = start_fork(module, env=environ, log=directory / f"{module}.log")
    try:
        yield child
    finally:
        child.stop(20)
