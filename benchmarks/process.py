"""Reads the processor time and memory of processes from Linux's /proc (proc(5))."""

import os
import resource
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """The processor time of a process without its children: all threads, user and system, in seconds."""
    return parse_cpu_ticks(Path(f"/proc/{pid}/stat").read_text()) / os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(pid: int) -> float:
    """The processor time of a process and of all its descendants that run, in seconds."""
    total = cpu_seconds(pid)
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread or child that has just ended
            total += sum(tree_cpu_seconds(int(child)) for child in tasks.read_text().split())
    return total


def cpu_nanoseconds(pid: int) -> int:
    """The processor time of a process without its children, all threads that run, more exactly than in ticks."""
    schedules = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(schedule.read_text().split()[0]) for schedule in schedules)


def ended_cpu_seconds() -> float:
    """The processor time of the children of this process that have ended and were waited for, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_rss_mib(pid: int) -> float:
    """The peak resident memory in MiB."""
    return parse_peak_kib(Path(f"/proc/{pid}/status").read_text()) / 1024


def parse_cpu_ticks(stat: str) -> int:
    """utime + stime, fields 14 and 15. The command's name before them may contain spaces and parentheses."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def parse_peak_kib(status: str) -> int:
    """The value of the line `VmHWM:   123456 kB`."""
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])
