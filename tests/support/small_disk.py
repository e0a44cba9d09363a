"""A file system of its own for a folder, which a test can make full and give space again: a tmpfs of changing size."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 2 << 30
"""Bytes that fit at first. Memory is used only for what is stored."""


class SmallDisk:
    """A mounted file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def used(self) -> int:
        """Bytes in use."""
        found = os.statvfs(self._folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        found = os.statvfs(self._folder)
        return found.f_bfree * found.f_frsize

    def leave(self, free: int) -> None:
        """From now on, take only this number of bytes more."""
        self._resize(self.used + free)

    def grow(self) -> None:
        """There is space again."""
        self._resize(SIZE)

    def _resize(self, size: int) -> None:
        # In whole pages; the kernel refuses a size that is less than what is in use.
        page = os.sysconf("SC_PAGE_SIZE")
        size = -(-size // page) * page
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self._folder)], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Mount a file system at a folder, which is made, for the block. Skips the test where that is not permitted."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "triptych-tests", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # What still has files open is ended by whoever has started it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
