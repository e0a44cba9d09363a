"""The cache folder for files that are expensive to obtain, shared by all stacks of the user."""

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
    """Lock the file at `path` during the block; waits for other processes. The kernel frees it if this one dies."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
