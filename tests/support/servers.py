"""Processes as the operating system sees them: a service of its own, what it uses, and servers that stand still."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.installation import Installation
from triptych.devstack.children import Child, start_child
from triptych.devstack.ports import LOOPBACK, free_ports


@dataclass(frozen=True)
class Service:
    """A service in a process of its own."""

    child: Child
    address: str

    async def is_ready(self) -> bool:
        """What it says itself."""
        async with httpx.AsyncClient(base_url=self.address, timeout=10) as client:
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
        """End it at once, without a chance to do anything."""
        os.kill(self.child.pid, signal.SIGKILL)


@contextmanager
def service(installation: Installation, directory: Path, name: str, **fields: object) -> Iterator[Service]:
    """One of our services by its name; ended afterwards."""
    (port,) = free_ports(1)
    environ = {**os.environ, **installation.environ(**{f"{name}_port": port}, **fields)}
    log = directory / f"{name}-{port}.log"
    child = start_child([sys.executable, "-m", f"triptych.{name}"], env=environ, log=log)
    try:
        yield Service(child, f"http://{LOOPBACK}:{port}")
    finally:
        child.stop(20)


def command_service(installation: Installation, directory: Path, **fields: object) -> AbstractContextManager[Service]:
    """A command service; ended afterwards."""
    return service(installation, directory, "command", **fields)


def command_line(pid: int) -> list[str]:
    """What a process was started with; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def pids_of(data: Path) -> list[int]:
    """Processes that were started with this folder, or a file in it, on their command line."""
    pids = [int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and any(str(data) in word for word in command_line(pid))]


@contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    """These processes neither run nor end during the block: to their clients, the network is gone."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
