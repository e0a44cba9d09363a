"""The `stack` fixture: one real Kafka and one real MongoDB for a run of pytest, shared by all its workers."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.devstack.cache import cache_dir
from triptych.devstack.stack import Addresses, Provider, StackUnavailable, local_stack

MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a name that nobody can foresee
ROOM_BYTES = 8 * 1024**3
"""What a whole run stores is less than half of this."""
PREFIX, LEFT_SECONDS = "triptych-tests-", 600


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Addresses:
    """Addresses of the servers. The first test that needs the servers starts them; the last worker's end stops them."""
    base = tmp_path_factory.getbasetemp()
    is_worker = hasattr(pytestconfig, "workerinput")  # set by pytest-xdist, which gives each worker a folder
    open_servers = ExitStack()
    try:
        addresses = open_servers.enter_context(_shared_stack(base.parent if is_worker else base))
    except StackUnavailable as unavailable:
        raise pytest.fail.Exception(str(unavailable), pytrace=False) from None  # the message is complete
    # Not at the end of the last test, whose time would then include the wait for the other workers.
    pytestconfig.add_cleanup(open_servers.close)
    return addresses


@contextmanager
def _shared_stack(directory: Path) -> Iterator[Addresses]:
    """The servers of this folder: the first worker starts them, and stops them when no other worker uses them."""
    written = directory / "addresses"
    with ExitStack() as servers, directory.joinpath("users.lock").open("wb") as users:
        with directory.joinpath("start.lock").open("wb") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            is_first = not written.exists()
            if is_first:
                data_dir = servers.enter_context(folder_in_memory()) or directory / "stack"
                addresses = servers.enter_context(local_stack(data_dir=data_dir, keep=False))
                if os.environ.get("TRIPTYCH_TEST_SHARDS") == "cluster":
                    from tests.support.cluster.servers import running_cluster

                    router = running_cluster(data_dir / "cluster", cache_dir(os.environ))
                    addresses = replace(addresses, mongo_uri=servers.enter_context(router).mongo_uri)
                written.write_text("\n".join((addresses.kafka_bootstrap, addresses.mongo_uri, addresses.provider)))
            else:
                kafka_bootstrap, mongo_uri, provider = written.read_text().splitlines()
                addresses = Addresses(kafka_bootstrap, mongo_uri, Provider(provider))
        yield addresses
        if is_first:
            fcntl.flock(users, fcntl.LOCK_EX)
            written.unlink()


@contextmanager
def folder_in_memory() -> Iterator[Path | None]:
    """A folder of a file system in memory, removed with the block; None if there is none with room.

    MongoDB waits for the disk at every commit and for each index. No test takes the power away from the machine, so
    none can tell the difference.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield None
        return
    for left in MEMORY.glob(f"{PREFIX}*"):
        if time.time() - left.stat().st_mtime > LEFT_SECONDS and not _is_in_use(left):
            shutil.rmtree(left, ignore_errors=True)  # of a run that was killed
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _is_in_use(folder: Path) -> bool:
    """Whether a stack runs on it, which holds this lock."""
    try:
        with folder.joinpath("stack.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
