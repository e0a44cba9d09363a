"""Identifies this process, and recognises a process that was killed and in whose place this one was started.

What a killed process leaves behind blocks others until a lease or a session has run out. Its successor need not wait
for that. Processes that follow one another have the same instance id; two that run at the same time are told apart by
the table of processes.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
# Fields after the name of the program, which ends with the last parenthesis (proc(5)).
_STATE, _STARTED = 0, 19
_ENDED = (b"Z", b"X")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of one service."""

    instance: str
    """The name that its successor has too."""
    table: str
    """The table of processes in which `number` counts: one for each boot and container. Empty if it is unknown."""
    number: int
    started: int
    """When it started, in ticks since the boot: the numbers of processes are used again."""

    def replaces(self, other: "ProcessIdentity", started_of: "Callable[[int], int | None] | None" = None) -> bool:
        """Whether `other` is a predecessor of this process: it had the same instance id, and does not run any more.

        A process in another table cannot be asked for. It counts as ended, because an instance id belongs to one
        process at a time. If it runs nevertheless, it joins its group again and claims its partitions again.

        Args:
            other: a process of the same service.
            started_of: returns when a process of this table started, None if it has ended; see `ProcessIdentity`.
        """
        if self.instance != other.instance or not (self.table and other.table):
            return False
        return self.table != other.table or (started_of or _started_of)(other.number) != other.started


def this_process(instance_id: str = "") -> ProcessIdentity:
    """The identity of this process. Without an instance id, the name of the host stands for it."""
    instance = instance_id or socket.gethostname()
    started = _started_of(os.getpid())
    try:
        table = f"{_BOOT_ID.read_text().strip()} {_NAMESPACE.readlink()}"
    except OSError:
        table = ""  # not Linux: what a killed predecessor has left behind ends by itself
    return ProcessIdentity(instance, table if started is not None else "", os.getpid(), started or 0)


def _started_of(number: int) -> int | None:
    try:
        fields = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in _ENDED else int(fields[_STARTED])
