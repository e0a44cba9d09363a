"""Finds Java, and has Maven fetch the jars of Apache Kafka once into the cache."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from triptych.devstack.cache import locked
from triptych.devstack.errors import StackUnavailable

KAFKA_VERSION = "4.1.1"
JAVA_MINIMUM = 17

_POM = Path(__file__).with_name("pom.xml")
_MANIFEST = "manifest.txt"
_MAVEN_TIMEOUT_SECONDS = 600.0


def find_java(environ: Mapping[str, str]) -> Path | None:
    """Return the Java launcher: that of `JAVA_HOME` if set, otherwise the first on `PATH`."""
    home = environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else environ.get("PATH", ""))
    return Path(found) if found else None


def java_version(java: Path, environ: Mapping[str, str]) -> str | None:
    """Return the version that a Java launcher reports, such as "17.0.15", or None if it reports none."""
    try:
        result = subprocess.run(  # noqa: S603
            [java, "-version"], capture_output=True, text=True, timeout=30, env=dict(environ), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    reported = re.search(r'version "([^"]+)"', result.stderr + result.stdout)
    return reported.group(1) if reported else None


def major_version(version: str) -> int:
    """Return the major Java version: 17 for "17.0.15", 8 for "1.8.0_392", 0 if it is unknown."""
    numbers = re.match(r"(?:1\.)?(\d+)", version)
    return int(numbers.group(1)) if numbers else 0


def java_missing(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the installed Java and how to fix it, or None."""
    advice = f"install a JDK {JAVA_MINIMUM} or newer (Debian, Ubuntu: apt install openjdk-17-jdk-headless)"
    java = find_java(environ)
    if java is None:
        where = "under JAVA_HOME" if environ.get("JAVA_HOME") else "on PATH"
        return f"there is no java {where}: {advice}"
    version = java_version(java, environ)
    if version is None:
        return f"{java} does not run: {advice}"
    if major_version(version) < JAVA_MINIMUM:
        return f"{java} is Java {version}, too old for Kafka {KAFKA_VERSION}: {advice}, or set JAVA_HOME to one"
    return None


def jars_missing(cache: Path, environ: Mapping[str, str]) -> str | None:
    """Return why the jars of Kafka are not available, or None if they are cached or Maven can fetch them."""
    if _is_complete(jars_dir(cache)) or _find_maven(environ):
        return None
    return (
        f"the jars of Kafka {KAFKA_VERSION} are not cached in {cache} and there is no mvn on PATH to fetch them: "
        "install Maven (Debian, Ubuntu: apt install maven)"
    )


def jars_dir(cache: Path) -> Path:
    """Return the cache folder for the jars of the present pom. Another pom has another folder."""
    return cache / f"kafka-{KAFKA_VERSION}-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"


def kafka_jars(cache: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """Return the folder with the jars of Kafka. Maven fills it if it is missing or damaged.

    Raises StackUnavailable if Maven is missing or fails.
    """
    target = jars_dir(cache)
    if _is_complete(target):
        return target
    with locked(cache / f"{target.name}.lock"):
        if _is_complete(target):  # another process has filled it meanwhile
            return target
        say(f"resolving Kafka {KAFKA_VERSION} jars with Maven (once)")
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{target.name}.") as scratch:
            fetched = Path(scratch, "jars")
            _run_maven(fetched, environ)
            _write_manifest(fetched)
            shutil.rmtree(target, ignore_errors=True)
            fetched.rename(target)
    return target


def _find_maven(environ: Mapping[str, str]) -> str | None:
    return shutil.which("mvn", path=environ.get("PATH", ""))


def _run_maven(target: Path, environ: Mapping[str, str]) -> None:
    maven = _find_maven(environ)
    if maven is None:
        raise StackUnavailable("There is no mvn on PATH to fetch the jars of Kafka: install Maven.")
    command = [maven, "--quiet", "--batch-mode", "--file", str(_POM)]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_MAVEN_TIMEOUT_SECONDS, env=dict(environ), check=False
        )
    except subprocess.TimeoutExpired:
        raise StackUnavailable(f"Maven did not fetch Kafka within {_MAVEN_TIMEOUT_SECONDS:.0f} s.") from None
    if result.returncode != 0:
        output = "\n".join((result.stdout + result.stderr).strip().splitlines()[:10])
        raise StackUnavailable(f"Maven could not fetch Kafka {KAFKA_VERSION} (is the network reachable?):\n{output}")


def _write_manifest(folder: Path) -> None:
    lines = [f"{jar.stat().st_size} {jar.name}\n" for jar in sorted(folder.glob("*.jar"))]
    folder.joinpath(_MANIFEST).write_text("".join(lines))


def _is_complete(folder: Path) -> bool:
    try:
        sizes = [line.split(maxsplit=1) for line in folder.joinpath(_MANIFEST).read_text().splitlines()]
        return bool(sizes) and all(folder.joinpath(name).stat().st_size == int(size) for size, name in sizes)
    except (OSError, ValueError):
        return False
