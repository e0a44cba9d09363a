"""Finds the processes of the broker and of mongod if both run on this machine, by the ports that they listen on."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from triptych.devstack.stack import Addresses

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"  # linux/tcp_states.h


@dataclass(frozen=True, slots=True)
class Servers:
    """The process ids of the servers. `more` are those of a cluster's further members."""

    broker: int
    mongod: int
    more: tuple[int, ...] = ()

    @property
    def mongods(self) -> tuple[int, ...]:
        """All processes of MongoDB."""
        return (self.mongod, *self.more)


def find_servers(addresses: Addresses) -> Servers | None:
    """The servers at these addresses. None if one of them has no process here that this user may inspect.

    A proxy that listens for a container is not a server: its processor time says nothing.
    """
    broker = _listener(addresses.kafka_bootstrap, "java")
    mongod = _listener(urlsplit(addresses.mongo_uri).netloc.rpartition("@")[2], "mongod")
    return None if broker is None or mongod is None else Servers(broker, mongod)


def inode_of(lines: Iterable[str], port: int) -> str | None:
    """The inode of the socket that listens on a port, from lines of /proc/net/tcp (proc(5))."""
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            return fields[9]
    return None


def _listener(address: str, program: str) -> int | None:
    host, _, port = address.rpartition(":")
    if host.strip("[]") not in LOCAL_HOSTS or not port.isdecimal():
        return None  # elsewhere, or several servers
    inodes = [inode_of(table.read_text().splitlines(), int(port)) for table in TABLES if table.exists()]
    sockets = {f"socket:[{inode}]" for inode in inodes if inode is not None}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and _name_of(process) == program and sockets & _open_files(process):
            return int(process.name)
    return None


def _name_of(process: Path) -> str | None:
    with suppress(OSError):  # the process has ended
        return process.joinpath("comm").read_text().strip()
    return None


def _open_files(process: Path) -> set[str]:
    found: set[str] = set()
    with suppress(OSError):  # another user's process, or one that has ended
        for file in process.joinpath("fd").iterdir():
            with suppress(OSError):
                found.add(str(file.readlink()))
    return found
