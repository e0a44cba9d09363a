"""Runs the scripts of `tests/conformance` with the packages that `package.json` pins, installed once into the cache."""

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triptych.devstack.cache import cache_dir, locked

FOLDER = Path(__file__).parents[1] / "conformance"


@dataclass(frozen=True)
class Outcome:
    """The output and exit status of a script."""

    output: str
    status: int

    @property
    def verdict(self) -> str:
        """The last line: how many checks passed and failed."""
        return self.output.rstrip().rpartition("\n")[2]


def installed_packages(package: Path = FOLDER / "package.json") -> Path:
    """The folder `node_modules` with the packages that a `package.json` pins.

    Raises:
        RuntimeError: there is no Node.js, or the packages cannot be installed.
    """
    version = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
    folder = cache_dir(os.environ) / f"npm-{version}"
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            npm = shutil.which("npm")
            if npm is None:
                raise RuntimeError("these tests need Node.js 20 or newer, with npm")
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            shutil.copy(package, partial)
            command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"npm install failed:\n{done.stdout}{done.stderr}")
            partial.rename(folder)
    return folder / "node_modules"


async def run_script(name: str, folder: Path, *arguments: str, environ: Mapping[str, str]) -> Outcome:
    """Run a script of this folder in a copy of it, in `folder`, that has the packages."""
    packages = await asyncio.to_thread(installed_packages)
    for script in FOLDER.glob("*.mjs"):
        shutil.copy(script, folder)
    folder.joinpath("node_modules").symlink_to(packages)
    process = await asyncio.create_subprocess_exec(
        "node",
        folder / name,
        *arguments,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Outcome(output.decode(), process.returncode or 0)
