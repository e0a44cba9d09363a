"""Runs commands of the product as forks of a process that has imported it: the imports take most of a short command.

What a shell starts is `preloaded_client.py`. A fork runs what `python` would run, and ends as `python` would.
Tests of the program itself (tests/e2e/test_up.py and test_wheel.py, the README in test_pages.py) start it without this
module.
"""

import ctypes
import gc
import importlib
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.children import wait_for

ROOT = Path(__file__).resolve().parents[2]
CLIENT = Path(__file__).with_name("preloaded_client.py")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_IMPORTED = ("aiokafka", "http.server", "triptych.cli.send", "triptych.cli.verify", "triptych.cli.watch")
"""What commands import beyond the modules of `triptych.cli.__main__.GROUPS`."""


@contextmanager
def preloaded_python() -> Iterator[str]:
    """The words that take the place of `python` in a shell during the block; commands still running end with it.

    `-m` and a file are the arguments that are understood.
    """
    with tempfile.TemporaryDirectory() as folder:  # the name of a socket must be short
        path = Path(folder, "socket")
        # As the shell of a reader, it has a bare environment: some modules look at theirs when they are imported.
        command = [sys.executable, "-m", __name__, str(path)]
        with subprocess.Popen(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, start_new_session=True) as process:
            try:
                wait_for(path.exists)
                yield shlex.join([sys.executable, "-I", "-S", str(CLIENT), str(path)])
            finally:
                os.killpg(process.pid, signal.SIGKILL)


def _serve(path: str) -> list[str]:
    """Fork for each command. Returns in the forks: the arguments of `python`."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for a fork
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{path}.new")
        listening.listen(64)
        Path(f"{path}.new").rename(path)
        while True:
            client, _ = listening.accept()
            if os.fork() == 0:
                break
            client.close()
    _end_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, *_ = socket.recv_fds(client, 4, 3)
    message = b""
    while len(message) < int.from_bytes(size, "big"):
        message += client.recv(65_536)
    folder, count, *words = map(os.fsdecode, message.split(b"\0"))
    if pid := os.fork():
        for stream in streams:
            os.close(stream)
        _attend(pid, client)
    _end_with_parent()
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    for word in words[int(count) :]:
        name, _, value = word.partition("=")
        os.environ[name] = value
    return words[: int(count)]


def _attend(pid: int, client: socket.socket) -> None:
    """Pass signals on to a fork, and its status to the client. It is killed if the client has ended. Never returns."""
    ended = os.pidfd_open(pid)
    while True:
        ready, _, _ = select.select([ended, client.fileno()], [], [])
        if ended in ready:
            break
        received = client.recv(1)
        os.kill(pid, received[0] if received else signal.SIGKILL)
        if not received:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    client.sendall(str(status).encode())
    os._exit(0)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _run(arguments: Sequence[str]) -> None:
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        sys.path[0] = str(Path.cwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def _main(path: str) -> None:
    _end_with_parent()
    from triptych.cli.__main__ import GROUPS

    for name in (*_IMPORTED, *(module for module, _ in GROUPS.values())):
        importlib.import_module(name)
    del sys.modules["triptych.cli.__main__"]  # each fork runs it
    gc.freeze()
    _run(_serve(path))


if __name__ == "__main__":
    _main(sys.argv[1])
