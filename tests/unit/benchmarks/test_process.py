"""Reading the processor time and memory of a process."""

import os
import subprocess
import sys

from benchmarks.process import (
    cpu_seconds,
    ended_cpu_seconds,
    parse_cpu_ticks,
    parse_peak_kib,
    peak_rss_mib,
    tree_cpu_seconds,
)

BUSY = "import time\nwhile time.process_time() < 0.2: pass\n"


def test_cpu_ticks_are_found_behind_any_name() -> None:
    # pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime ...
    assert parse_cpu_ticks("7 (a (b) c) S 1 7 7 0 -1 4194560 10 11 12 13 150 50 3 4 20 0 1 0 99") == 200


def test_peak_memory_is_not_the_present_one() -> None:
    assert parse_peak_kib("Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n") == 300


def test_this_process_has_used_something() -> None:
    assert cpu_seconds(os.getpid()) > 0
    assert peak_rss_mib(os.getpid()) > 1


def test_a_process_counts_with_its_children() -> None:
    waiting = f"{BUSY}import sys\nprint(flush=True)\nsys.stdin.read()\n"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {waiting!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        assert tree_cpu_seconds(process.pid) >= cpu_seconds(process.pid) + 0.15  # the kernel counts hundredths
        process.stdin.close()


def test_children_that_have_ended_are_counted() -> None:
    before = ended_cpu_seconds()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert ended_cpu_seconds() - before >= 0.2
