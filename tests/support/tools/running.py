"""Installs the tools at the versions that `tests/tools` pins, into the cache, and runs one process per language."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from tests.support.conformance import installed_packages
from tests.support.tools.cases import all_cases, webhooks
from triptych.devstack.cache import cache_dir, locked
from triptych.devstack.jars import find_java

FOLDER = Path(__file__).parents[2] / "tools"


Report: TypeAlias = Mapping[str, Any]
"""What the tools of one language found, by the kind of case."""


class ToolchainMissing(Exception):
    """A language's compiler or package manager is not on this machine."""


def node_report() -> Report:
    """What the tools for JavaScript found. Raises ToolchainMissing."""
    need("node", "npm")
    packages = installed_packages(FOLDER / "node" / "package.json")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "node_modules").symlink_to(packages)
        script = shutil.copy(FOLDER / "node" / "read.mjs", folder)
        return _report(["node", script])


def java_report() -> Report:
    """What the tools for Java found. Raises ToolchainMissing."""
    need("mvn")
    java = find_java(os.environ)
    if java is None:
        raise ToolchainMissing("there is no java")
    jars = made(FOLDER / "java", ("pom.xml",), _copy_jars)
    # Few optimisations: the process lives for a second.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}/*"]
    return _report([str(java), *options, str(FOLDER / "java" / "Read.java")])


def go_report() -> Report:
    """What the tools for Go found. Raises ToolchainMissing."""
    need("go")
    return _report([str(made(FOLDER / "go", ("go.mod", "read.go"), lambda folder: build_go(folder, "read")) / "read")])


def need(*programs: str) -> None:
    """Raises ToolchainMissing if one of these programs is not on the PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise ToolchainMissing(f"not on the PATH: {', '.join(missing)}")


def made(source: Path, names: Sequence[str], make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, in the cache, from these files of a folder. Other content has another folder."""
    content = b"".join((source / name).read_bytes() for name in names)
    folder = cache_dir(os.environ) / f"tools-{source.name}-{hashlib.sha256(content).hexdigest()[:12]}"
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for name in names:
                shutil.copy(source / name, partial)
            make(partial)
            partial.rename(folder)
    return folder


def _copy_jars(folder: Path) -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    _run(["mvn", "--quiet", "--batch-mode", "--file", str(folder / "pom.xml"), *goal], folder)


def build_go(folder: Path, program: str) -> None:
    """Compile the program of a folder with a go.mod."""
    _run(["go", "build", "-mod=mod", "-ldflags=-s -w", "-o", program, "."], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")


def _report(command: Sequence[str]) -> Report:
    # The webhooks are signed now: an installation may have taken longer than receivers tolerate.
    cases = orjson.dumps({**all_cases(), "webhooks": webhooks()})
    done = subprocess.run(command, input=cases, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr.decode()}")
    report: Report = json.loads(done.stdout)
    return report
