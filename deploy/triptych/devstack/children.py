"""Child processes that never outlive the process that started them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from triptych.devstack.errors import StackUnavailable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 15


class Child:
    """A running child process, its output in a log file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def stop(self, timeout: float) -> int:
        """End the child and all processes of its group; return its exit code.

        It is asked with SIGTERM and killed after `timeout` seconds. Stopping an ended child is harmless.
        """
        if self.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def wait_until(self, ready: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Wait until `ready` returns true.

        Raises StackUnavailable with the end of the log if the child ends first or `timeout` seconds pass.
        """
        deadline = time.monotonic() + timeout
        while True:
            code = self.poll()  # before the question, which may be answered by the end itself
            if ready():
                return
            if code is not None:
                raise StackUnavailable(f"{what} ended with exit code {code} while starting.\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise StackUnavailable(f"{what} was not ready after {timeout:.0f} s.\n{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        # The child leads its own group; the group is gone once all its members are.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"The end of {self.log}:", *lines])


def start_child(
    args: Sequence[str | Path], *, env: Mapping[str, str] | None = None, log: Path, cwd: Path | None = None
) -> Child:
    """Start a program whose output goes to `log` (overwritten), with its own session and process group.

    Ctrl-C in the terminal thus reaches only the parent, which stops its children in order. On Linux the kernel kills
    the child when the parent dies, by kill -9 too. To be exact: when the *thread* that called this function ends, so
    call it from a thread that lives as long as the child shall. Raises OSError if the program cannot be run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [str(arg) for arg in args],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )
    return Child(process, log)


def _die_with_parent() -> Callable[[], None]:
    libc = ctypes.CDLL(None)  # loaded before the fork: afterwards only simple calls are safe
    parent = os.getpid()

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the request
            os._exit(1)

    return ask_the_kernel
