"""The folder where what is expensive to obtain is kept between starts, shared by all stacks of the user."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder, created if missing: `TRIPTYCH_CACHE`, or `~/.cache/triptych`."""
    chosen = environ.get("TRIPTYCH_CACHE")
    folder = Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "triptych"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file lock at `path`, waiting for other processes; the kernel frees it if this process dies."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
