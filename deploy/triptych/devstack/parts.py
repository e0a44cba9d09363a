"""Processes with names that are killed and started again as they were: the parts of a cluster."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from triptych.devstack.children import Child, start_child


class Part:
    """A process of a cluster. Each start writes a log of its own, so that the log of a killed process is kept."""

    def __init__(
        self, name: str, command: Sequence[str | Path], *, port: int, logs: Path, env: Mapping[str, str]
    ) -> None:
        """`port` is where the process serves, on the loopback address; its logs are files of the folder `logs`."""
        self.name = name
        self.port = port
        self._command = command
        self._logs = logs
        self._env = env
        self._starts = 0
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process that was started last."""
        assert self._child is not None, f"{self.name} was not started"  # noqa: S101
        return self._child

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the process, which must not run. Call it from a thread that lives as long: see `start_child`."""
        self._starts += 1
        again = f".{self._starts}" if self._starts > 1 else ""
        self._child = start_child(self._command, env=self._env, log=self._logs / f"{self.name}{again}.log")

    def kill(self) -> None:
        """Send SIGKILL, and do not wait."""
        os.kill(self.child.pid, signal.SIGKILL)

    def stop(self, timeout: float) -> None:
        """Stop the process: see `Child.stop`. Stopping one that was not started is harmless."""
        if self._child is not None:
            self._child.stop(timeout)

    def wait_until(self, ready: Callable[[Child], bool], *, timeout: float) -> None:
        """Wait until `ready` is true of the process. Raises StackUnavailable: see `Child.wait_until`."""
        self.child.wait_until(lambda: ready(self.child), what=self.name, timeout=timeout)
