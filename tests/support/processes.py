"""Services as processes of their own, for tests that kill them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.installation import Installation
from triptych.devstack.children import Child, start_child
from triptych.devstack.ports import free_ports


@contextmanager
def service_process(installation: Installation, module: str, directory: Path, **fields: object) -> Iterator[Child]:
    """`python -m module` with the settings of the installation and a free port; ended afterwards."""
    (port,) = free_ports(1)
    ports = {f"{name}_port": port for name in ("command", "projector", "gateway", "webhooks")}
    environ = {**os.environ, **installation.environ(**ports, **fields)}
    child = start_child([sys.executable, "-m", module], env=environ, log=directory / f"{module}.log")
    try:
        yield child
    finally:
        child.stop(20)
