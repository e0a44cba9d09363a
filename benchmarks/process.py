"""What a process has used so far, read from Linux's /proc (proc(5)); child processes are not counted."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, user and system."""
    return parse_cpu_ticks(Path(f"/proc/{pid}/stat").read_text()) / os.sysconf("SC_CLK_TCK")


def peak_rss_mib(pid: int) -> float:
    """The most memory that was resident at a time, in MiB."""
    return parse_peak_kib(Path(f"/proc/{pid}/status").read_text()) / 1024


def parse_cpu_ticks(stat: str) -> int:
    """utime + stime, fields 14 and 15; the command's name before them may hold spaces and parentheses."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def parse_peak_kib(status: str) -> int:
    """The line `VmHWM:   123456 kB`."""
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])
