"""Tells other commands which processes a running cluster has, in a file; `triptych cluster-kill` reads it."""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import orjson

from triptych.cli.installation import DATA_DIR
from triptych.devstack.parts import Part
from triptych.kit.failures import StartRefused

CLUSTER_DIR = DATA_DIR / "cluster"
"""The data and logs of `triptych cluster`, in the folder where it was started."""
PARTS = "parts.json"
NOT_RUNNING = "No cluster runs in this folder. Start one with `make cluster`."


class PartsFile:
    """The file of a cluster that runs. A lock on it means that the cluster runs."""

    def __init__(self, file: BinaryIO, parts: Iterable[Part]) -> None:
        self._file = file
        self._parts = tuple(parts)

    def write(self) -> None:
        """Write the processes that run now: `{"kafka-1": {"pid": 4711, "port": 20123, "log": "…"}, …}`."""
        text = orjson.dumps(
            {
                part.name: {"pid": part.child.pid, "port": part.port, "log": str(part.child.log)}
                for part in self._parts
                if part.is_running
            }
        )
        # In one write, and never shorter: whoever reads meanwhile finds the former content or this one.
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        self._file.write(text.ljust(size))
        self._file.flush()


@contextlib.contextmanager
def parts_file(parts: Iterable[Part], folder: Path = CLUSTER_DIR) -> Iterator[PartsFile]:
    """The file of these parts in `folder`, written; it is empty after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath(PARTS).touch()
    with folder.joinpath(PARTS).open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        made = PartsFile(file, parts)
        made.write()
        try:
            yield made
        finally:
            file.truncate(0)


def kill(names: Sequence[str], folder: Path = CLUSTER_DIR) -> dict[str, int]:
    """Kill parts of the cluster that runs, all at the same moment, with SIGKILL; their process ids by name.

    Raises:
        StartRefused: no cluster runs, or it has no such part that runs. Nothing is killed then.
    """
    running = _running(folder)
    missing = [name for name in names if name not in running]
    if missing:
        raise StartRefused(f"No part {', '.join(missing)} runs. These run: {', '.join(running)}.")
    killed = {name: running[name] for name in names}
    for pid in killed.values():
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)
    return killed


def _running(folder: Path) -> Mapping[str, int]:
    try:
        with folder.joinpath(PARTS).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return {name: part["pid"] for name, part in orjson.loads(file.read() or b"{}").items()}
    except FileNotFoundError:
        pass
    raise StartRefused(NOT_RUNNING)
