"""Gives processes a wall clock that is wrong, and that can be set while they run: libfaketime, with a file.

Monotonic clocks stay right, as they do on a machine whose clock is set.
"""

from collections.abc import Mapping
from pathlib import Path

ROOTS = (Path("/usr/lib"), Path("/usr/local/lib"), Path("/usr/lib64"))


def libfaketime() -> Path | None:
    """The library that is preloaded (Debian: `apt-get install libfaketime`); None if it is not installed."""
    found = (path for root in ROOTS if root.is_dir() for path in sorted(root.glob("**/faketime/libfaketimeMT.so.1")))
    return next(found, None)


class WrongClock:
    """A clock that some processes share."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file

    def set(self, seconds: float) -> None:
        """The clock is ahead by these seconds, or behind. Running processes follow within about a second."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._file)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process that has this clock is started with."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
