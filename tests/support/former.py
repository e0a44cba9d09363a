"""Builds the wheel of a former commit, and runs the services in it in processes that see nothing of this checkout."""

import contextlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.installation import Installation
from tests.support.own_venv import built_wheel
from tests.support.plain_http import NO_TLS
from triptych.devstack.ports import LOOPBACK, free_ports

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = "TRIPTYCH_TEST_FORMER"
"""The environment variable that names another commit to upgrade from."""
BUILT_FROM = ("services", "schemas", "deploy", "pyproject.toml", "README.md")
PACKAGE, FORMER_PACKAGE = "triptych", "services"
"""The package of the services, and its name in early commits."""
END_SECONDS = 30


def former_commit() -> str:
    """The commit whose wheel stands for a running installation.

    It is the parent of this commit, or this commit itself if its code was changed since. Skips the test if there is
    none, as in a shallow clone.
    """
    if commit := os.environ.get(CHOSEN):
        return commit
    is_changed = _git("diff", "--quiet", "HEAD", "--", *BUILT_FROM).returncode == 1
    found = _git("rev-parse", "--verify", "--quiet", "HEAD" if is_changed else "HEAD^1")
    if found.returncode != 0:
        pytest.skip(f"this checkout has no parent commit to upgrade from; {CHOSEN} can name a commit")
    return found.stdout.decode().strip()


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(("git", *words), cwd=ROOT, capture_output=True)
    except FileNotFoundError:
        pytest.skip("git is not installed, so there is no code to upgrade from")


def unpacked_wheel(commit: str, folder: Path) -> Path:
    """Build the wheel of a commit as a release does, and unpack it; the folder to import from.

    Commits from before there was one package are used as they are: their build needs other tools.
    """
    source, wheels, unpacked = (folder / name for name in ("source", "wheels", "unpacked"))
    archive = _git("archive", "--format=zip", commit, *BUILT_FROM)
    if archive.returncode != 0:
        pytest.skip(f"this checkout does not have the commit {commit}: {archive.stderr.decode()}")
    (zipped := folder / "source.zip").write_bytes(archive.stdout)
    with zipfile.ZipFile(zipped) as packed:
        packed.extractall(source)
    if not (source / "services" / PACKAGE).exists():
        return source
    with zipfile.ZipFile(built_wheel(source, wheels)) as packed:
        packed.extractall(unpacked)
    return unpacked


class FormerService:
    """A running service of the former wheel."""

    def __init__(self, pid: int, address: str) -> None:
        self.pid = pid
        self.address = address

    async def is_ready(self) -> bool:
        """Whether the service reports that it is ready."""
        async with httpx.AsyncClient(base_url=self.address, timeout=10, verify=NO_TLS) as client:
            try:
                return (await client.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False


class FormerForks:
    """A process that has imported the services of the former wheel, and forks them (`former_forks.py`)."""

    def __init__(self, process: subprocess.Popen[bytes], package: str) -> None:
        self._process = process
        self.package = package

    def ask(self, **order: object) -> str:
        """The answer to an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().decode().strip()
        assert answer, f"the process of the former services has ended: {self._process.poll()}"
        return answer

    def start(self, installation: Installation, directory: Path, name: str, **fields: object) -> FormerService:
        """Start a service by its name."""
        (port,) = free_ports(1)
        environ = {**_environ(), **installation.environ(**{f"{name}_port": port}, **fields)}
        log = directory / f"former-{name}-{port}.log"
        pid = int(self.ask(start=f"{self.package}.{name}", environ=environ, log=str(log)))
        return FormerService(pid, f"http://{LOOPBACK}:{port}")

    def stop(self, services: Iterable[FormerService]) -> list[int]:
        """Tell services to stop; their exit statuses."""
        return [int(status) for status in self.ask(stop=[one.pid for one in services]).split()]


@contextmanager
def former_forks(unpacked: Path) -> Iterator[FormerForks]:
    """The process that forks the services; all of them end with the block."""
    package = PACKAGE if (unpacked / PACKAGE).exists() else FORMER_PACKAGE
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # Without `site`, no file of the environment adds this checkout to the path.
    process = subprocess.Popen(
        (sys.executable, "-S", "-P", Path(__file__).with_name("former_forks.py"), package),
        env={**_environ(), "PYTHONPATH": os.pathsep.join((str(unpacked), *libraries))},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    forks = FormerForks(process, package)
    try:
        # What answers must be the former code.
        assert Path(forks.ask(where=f"{package}.command.app")).is_relative_to(unpacked)
        yield forks
    finally:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _environ() -> Mapping[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(("TRIPTYCH_", "PYTHON"))}
