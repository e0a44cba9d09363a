"""Runs services as separate processes, measures them, and freezes the processes of servers."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.forks import start_fork
from tests.support.installation import Installation
from tests.support.plain_http import NO_TLS
from tests.support.secrets import check_logs
from triptych.devstack.addresses import Addresses
from triptych.devstack.children import Child
from triptych.devstack.ports import LOOPBACK, free_ports
from triptych.devstack.stack import StackUnavailable, local_stack


@dataclass(frozen=True)
class Service:
    """A service in a separate process."""

    child: Child
    address: str

    async def is_ready(self) -> bool:
        """Whether the service reports that it is ready."""
        async with httpx.AsyncClient(base_url=self.address, timeout=10, verify=NO_TLS) as client:
            try:
                return (await client.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

    @property
    def resident_bytes(self) -> int:
        """Memory in use."""
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Kill the process at once with SIGKILL."""
        os.kill(self.child.pid, signal.SIGKILL)


@contextmanager
def service(installation: Installation, directory: Path, name: str, **fields: object) -> Iterator[Service]:
    """Run a service of the product by its name; it is ended after the block."""
    (port,) = free_ports(1)
    environ = {**os.environ, **installation.environ(**{f"{name}_port": port}, **fields)}
    log = directory / f"{name}-{port}.log"
    child = start_fork(f"triptych.{name}", env=environ, log=log)
    try:
        yield Service(child, f"http://{LOOPBACK}:{port}")
    finally:
        child.stop(20)
    check_logs([log])


def command_service(installation: Installation, directory: Path, **fields: object) -> AbstractContextManager[Service]:
    """Run a command service; it is ended after the block."""
    return service(installation, directory, "command", **fields)


def command_line(pid: int) -> list[str]:
    """The command line of a process; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def pids_of(data: Path) -> list[int]:
    """The processes whose command line names this folder or a file in it."""
    pids = [int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and any(str(data) in word for word in command_line(pid))]


@contextmanager
def servers_alone(data: Path) -> Iterator[Addresses]:
    """Servers as processes with their data in this folder, which only the caller stops or freezes.

    The test is skipped if they cannot run on this machine.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRIPTYCH_")}
    try:
        with local_stack(data_dir=data, keep=False, environ={**environ, "TRIPTYCH_STACK": "processes"}) as addresses:
            yield addresses
    except StackUnavailable as unavailable:
        pytest.skip(str(unavailable))


@contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    """Freeze these processes during the block: their clients see a network that is gone."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
