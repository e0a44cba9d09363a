"""Forks services of the wheel that PYTHONPATH names; run as a script, it imports nothing of this checkout.

It reads orders as lines of JSON and answers each with a line. At the end of its input it ends, and so do its forks.
"""

import ctypes
import importlib
import json
import os
import runpy
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
SERVICES = ("command", "projector", "webhooks", "gateway")
STOP_SECONDS = 25.0


def start(module: str, environ: dict[str, str], log: str) -> int:
    """Run a module in a fork with an environment and a log of its own; its process number."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = [module]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def stop(pids: list[int]) -> str:
    """Tell forks to stop, and kill those that do not; their exit statuses."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    ends = time.monotonic() + STOP_SECONDS
    statuses: dict[int, int] = {}
    while len(statuses) < len(pids):
        for pid in set(pids) - statuses.keys():
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                statuses[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > ends:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return " ".join(str(statuses[pid]) for pid in pids)


def obey(order: dict[str, Any]) -> object:
    """Carry out an order; the answer."""
    if "start" in order:
        return start(order["start"], order["environ"], order["log"])
    if "stop" in order:
        return stop(order["stop"])
    return importlib.import_module(order["where"]).__file__


def main() -> None:
    """Import the services of the package that is named, and carry out orders until there are no more."""
    for name in SERVICES:
        importlib.import_module(f"{sys.argv[1]}.{name}.app")
    for line in sys.stdin:
        print(obey(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
