"""Reads the processor time and memory of a process, without its children, from Linux's /proc (proc(5))."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """The processor time of all threads, user and system, in seconds."""
    return parse_cpu_ticks(Path(f"/proc/{pid}/stat").read_text()) / os.sysconf("SC_CLK_TCK")


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
