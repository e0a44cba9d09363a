"""Finds the installation that a command uses: the one in the environment, or the running stack of this checkout.

A command never guesses. The default ports may belong to another installation, whose data the command would change.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import orjson

from triptych.cli.settings import CliSettings
from triptych.kit.failures import StartRefused
from triptych.kit.logs.setup import configure_logging
from triptych.kit.process.secrets import SUFFIX
from triptych.kit.process.settings import PREFIX, KitSettings, load_settings

DATA_DIR = Path(".triptych")
"""The data of `triptych up`, in the folder where it was started."""
NOTE = "installation.json"
ADDRESSES = ("kafka_bootstrap", "mongo_uri")
NAMES = (*ADDRESSES, "mongo_database", "mongo_driver", "topic_prefix", "topic_partitions", "reply_topics")
SettingsT = TypeVar("SettingsT", bound=KitSettings)


@contextlib.contextmanager
def announced(settings: CliSettings, data_dir: Path = DATA_DIR) -> Iterator[None]:
    """Publish the addresses of the stack of this folder to other commands while the block runs.

    A lock on the file means that the stack runs. The file of a killed process is not locked.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.joinpath(NOTE).touch()
    data_dir.joinpath(NOTE).chmod(0o600)  # the address of a MongoDB may have a password
    with data_dir.joinpath(NOTE).open("w+b") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        note.write(orjson.dumps({name: getattr(settings, name) for name in NAMES}))
        note.flush()
        try:
            yield
        finally:
            note.truncate(0)


def running_stack(folders: Iterator[Path]) -> Mapping[str, object] | None:
    """The settings, by name, of the first stack that runs in one of these folders; None if there is none."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError), folder.joinpath(DATA_DIR, NOTE).open("rb") as note:
            try:
                fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = note.read()
                if text:
                    found: Mapping[str, object] = orjson.loads(text)
                    return found
    return None


def find_installation(kind: type[SettingsT], environ: Mapping[str, str] = os.environ) -> SettingsT:
    """The settings of the installation to use. Sets up the log, and prints on stderr which installation it is.

    Addresses in the environment come first. Without them it is the stack that `triptych up` runs in this folder, in a
    parent folder, or in the checkout of this command.

    Raises:
        StartRefused: a setting is invalid, or no installation is found.
    """
    stack = running_settings(environ)
    if not stack and not _is_named(environ):
        raise StartRefused(
            "No installation is named and none runs in this folder. Start one with `make up`, or name one with "
            f"{PREFIX}KAFKA_BOOTSTRAP and {PREFIX}MONGO_URI."
        )
    settings = load_settings(kind, stack)
    configure_logging("cli", settings.log_level, settings.log_format, settings.secret_values())
    print(f"installation: {describe(settings)}", file=sys.stderr)
    return settings


def running_settings(environ: Mapping[str, str] = os.environ) -> Mapping[str, object]:
    """The settings, by name, that the running stack gives to a command; none if the environment has an address."""
    found = None if _is_named(environ) else running_stack(_folders())
    return {name: value for name, value in (found or {}).items() if f"{PREFIX}{name.upper()}" not in environ}


def _is_named(environ: Mapping[str, str]) -> bool:
    return any(environ.get(f"{PREFIX}{name.upper()}{end}") for name in ADDRESSES for end in ("", SUFFIX))


def describe(settings: KitSettings) -> str:
    """The addresses and names of this installation in Kafka and MongoDB, without user or password."""
    hosts = urlsplit(settings.mongo_uri).netloc.rpartition("@")[2]
    return (
        f"Kafka {settings.kafka_bootstrap}, topics {settings.topic_prefix}*; "
        f"MongoDB {hosts}, database {settings.mongo_database}"
    )


def _folders() -> Iterator[Path]:
    here = Path.cwd()
    yield from (here, *here.parents)
    yield Path(__file__).resolve().parents[3]
