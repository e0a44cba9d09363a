"""Starts services as forks of a process that has imported them and opened nothing: the imports take most of a start.

What runs is what `python -m` runs, in a process, session and process group of its own, with its own environment and
log. The start itself is tested without this module: in tests/e2e/test_up.py, and for the README in test_pages.py.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import cast

from triptych.devstack.children import Child

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *(__name__, "triptych.cli.provision", "triptych.cli.send", "triptych.cli.watch"),
        *(f"triptych.{name}.app" for name in ("command", "projector", "webhooks", "gateway")),
        "tests.support.frozen",
    ]
)


class _Process:
    """A forked process, with the part of `subprocess.Popen` that `Child` uses."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return status


class _Fork(Child):
    """A child that another process has forked, and waits for: once it has ended, its number may be another's."""

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            super()._signal(number)


def start_fork(module: str, *arguments: str, env: Mapping[str, str], log: Path, cwd: Path | None = None) -> Child:
    """Start `python -m module arguments`, as `start_child` would."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = (module, *arguments)
    process = _CONTEXT.Process(target=_run, args=(words, dict(env), log, cwd or Path.cwd()), name=module)
    process.start()
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError):  # it has ended
        while os.getpgid(process.pid) != process.pid:
            time.sleep(0.001)  # until then, a signal to its group would be lost
    return _Fork(cast("subprocess.Popen[bytes]", _Process(process)), log)


def _run(words: Sequence[str], env: dict[str, str], log: Path, cwd: Path) -> None:
    os.chdir(cwd)
    with log.open("wb") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.environ.clear()
    os.environ.update(env)
    os.setsid()
    if sys.platform == "linux":
        # The process that was forked ends with the one that runs the tests, however that ends.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    sys.argv = list(words)
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    finally:
        logging.shutdown()  # at the end of a forked process, multiprocessing calls nothing that `atexit` knows
