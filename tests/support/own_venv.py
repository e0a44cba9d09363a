"""An environment of its own with some of the packages of this one, without downloads: each package is a link."""

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: str | Path, status: int = 0, cwd: Path = Path("/")) -> str:
    """The output of a command that must end with this status."""
    ran = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def built_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a project, made in a folder.

    What `pip wheel` asks to build it is asked directly: pip takes 3 s of processor time to prepare that.
    """
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


class OwnVenv:
    """An environment into which a test installs a wheel, and then what the wheel says that it needs."""

    def __init__(self, folder: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        self.python = folder / "bin" / "python"
        (self._packages,) = (folder / "lib").glob("python*/site-packages")
        self._added: set[str] = set()

    def install(self, wheel: Path) -> None:
        """Install a wheel and nothing else."""
        run(*PIP, "--python", self.python, "install", "--no-deps", "--no-index", "--no-compile", wheel)

    def add_needs_of(self, name: str, *extras: str) -> None:
        """Add all that a package in this environment says it needs, with these extras.

        Raises AssertionError if the tests run on a version that does not satisfy it.
        """
        (package,) = Distribution.discover(name=name, path=[str(self._packages)])
        self._add_needs(package, extras)

    def add(self, name: str) -> None:
        """Add a package, and all that it needs."""
        self._link(distribution(name))
        self._add_needs(distribution(name), ())

    def _add_needs(self, package: Distribution, extras: Iterable[str]) -> None:
        for need in map(Requirement, package.requires or ()):
            wanted = not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            if wanted and str(need) not in self._added:
                self._added.add(str(need))
                found = distribution(need.name)
                assert need.specifier.contains(found.version, prereleases=True), f"{need} is {found.version} here"
                self._link(found)
                self._add_needs(found, need.extras)

    def _link(self, package: Distribution) -> None:
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            link = self._packages / top
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(top))))
