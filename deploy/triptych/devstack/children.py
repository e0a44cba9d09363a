"""Starts and stops child processes, which never outlive the process that started them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from triptych.devstack.errors import StackUnavailable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 15


class Child:
    """A child process whose output goes to a log file."""

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
        """Stop the child and all processes of its group, and return its exit code.

        Sends SIGTERM, and kills the group after `timeout` seconds. Stopping a child that has ended is harmless.
        """
        self._ask_to_end()
        return self._end_within(timeout)

    def wait_until(self, ready: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Wait until `ready` returns true.

        Raises StackUnavailable with the end of the log if the child ends first or `timeout` seconds pass.
        """
        deadline = time.monotonic() + timeout
        while True:
            code = self.poll()  # before `ready`, which may become true because the child has ended
            if ready():
                return
            if code is not None:
                raise StackUnavailable(f"{what} ended with exit code {code} while starting.\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise StackUnavailable(f"{what} was not ready after {timeout:.0f} s.\n{self._log_tail()}")
            time.sleep(_POLL_SECONDS)

    def _ask_to_end(self) -> None:
        if self.poll() is None:
            self._signal(signal.SIGTERM)

    def _end_within(self, timeout: float) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        # The child leads its own process group. The group no longer exists once all its members have ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"The end of {self.log}:", *lines])


def stop_all(children: Sequence[Child], timeout: float) -> None:
    """Stop children and the processes of their groups, all within `timeout` seconds together.

    Sends SIGTERM to one after another in this order, and then kills the groups that still run at the end of the time.
    """
    deadline = time.monotonic() + timeout
    for child in children:
        child._ask_to_end()
    for child in children:
        child._end_within(max(0.0, deadline - time.monotonic()))


def start_child(
    args: Sequence[str | Path], *, env: Mapping[str, str] | None = None, log: Path, cwd: Path | None = None
) -> Child:
    """Start a program with its own session and process group; its output goes to `log`, which is overwritten.

    Ctrl-C in the terminal reaches only the parent, which stops its children in order. On Linux the kernel kills the
    child when the parent dies, even by kill -9. More exactly, it does so when the *thread* that called this function
    ends, so call it from a thread that lives as long as the child. Raises OSError if the program cannot be run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    process = None
    try:
        with log.open("wb") as output, _signals_deferred() as mask:
            process = subprocess.Popen(  # noqa: S603
                [str(arg) for arg in args],
                env=None if env is None else dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_prepare_child(mask),
            )
    except KeyboardInterrupt:
        if process is not None:  # nobody else knows of it yet
            process.kill()
            process.wait()
        raise
    return Child(process, log)


@contextlib.contextmanager
def _signals_deferred() -> Iterator[set[signal.Signals]]:
    """Handle SIGINT and SIGTERM only after the block, and yield the signal mask from before it.

    Python runs callbacks after a fork, and ignores what they raise: also the KeyboardInterrupt of a signal's handler.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_child(mask: set[signal.Signals]) -> Callable[[], None]:
    # Loaded before the fork, since only simple calls are safe afterwards.
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if libc is None:
            return
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request
            os._exit(1)

    return prepare
