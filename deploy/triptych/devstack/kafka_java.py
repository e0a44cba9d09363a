"""Runs Kafka's classes on a JVM that starts fast: with few optimisations, and with an archive of loaded classes."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from triptych.devstack.errors import StackUnavailable
from triptych.devstack.jars import find_java, java_version, kafka_jars

# The archive is valid only for a JVM with the same options. The size of the heap may differ.
_JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_HEAP = "512m"
_LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.xml')}"


@dataclass(frozen=True, slots=True)
class Java:
    """How to run a class of Kafka."""

    launcher: Path
    jars: Path
    archive: Path
    formatted: Path
    """An empty data folder as Kafka formats it. Copying it saves the start of a JVM."""

    def command(
        self, main: str, *args: str | Path, heap: str = _HEAP, record_to: Path | None = None
    ) -> list[str | Path]:
        """Return the command line. With `record_to`, the run writes a class data archive there when it ends.

        `heap` is the largest size of the heap, as Java writes it.
        """
        classes = []
        if self.archive.exists():
            classes = [f"-XX:SharedArchiveFile={self.archive}"]
        elif record_to is not None:
            classes = [f"-XX:ArchiveClassesAtExit={record_to}"]
        return [self.launcher, f"-Xmx{heap}", *_JVM_OPTIONS, *classes, _LOGGING, "-cp", f"{self.jars}/*", main, *args]


def prepare_java(cache: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> Java:
    """Find Java and the jars of Kafka, which Maven fetches once. Raises StackUnavailable."""
    launcher = find_java(environ)
    version = java_version(launcher, environ) if launcher else None
    if launcher is None or version is None:
        raise StackUnavailable("There is no working java.")
    jars = kafka_jars(cache, environ, say)
    archive = jars.with_name(f"{jars.name}-java-{version}.jsa")
    return Java(launcher, jars, archive, formatted=jars.with_name(f"{jars.name}-formatted"))


def keep_archive(recorded: Path, archive: Path) -> None:
    """Put the archive that a run has recorded at its place, unless there is one."""
    # Errors are ignored: without the archive, the next start is only slower.
    with contextlib.suppress(OSError):
        if recorded.exists() and not archive.exists():
            handle, scratch = tempfile.mkstemp(dir=archive.parent, prefix=f"{archive.name}.")
            os.close(handle)
            shutil.copyfile(recorded, scratch)
            Path(scratch).replace(archive)
        recorded.unlink(missing_ok=True)
