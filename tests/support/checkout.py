"""A checkout in which `make up` runs, on servers that are there, and a shell that knows nothing of where they are."""

import asyncio
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.support.installation import open_installation
from triptych.devstack.ports import free_ports
from triptych.devstack.stack import Addresses
from triptych.gateway.api.examples import DEV_KEY, GALLERY_ID

START_SECONDS = 90.0


class Place(NamedTuple):
    """Where Triptych runs, and what its pages call it."""

    folder: Path
    up_output: Path
    names: tuple[tuple[str, str], ...]
    """As printed, and here."""
    gateway: str
    environ: Mapping[str, str] = {}
    """What programs of `examples` are told instead: they have the names of `make up` as defaults."""

    def here(self, printed: str) -> str:
        for name, own in self.names:
            printed = printed.replace(name, own)
        return printed

    def as_printed(self, own_output: str) -> str:
        for name, own in self.names:
            own_output = own_output.replace(own, name)
        return own_output


@contextmanager
def checkout(stack: Addresses, folder: Path) -> Iterator[Place]:
    """A checkout after `make up`, whose shell knows nothing of where the servers are."""
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    write_commands(commands, shlex.quote(sys.executable))
    *ports, hooks_port, other_hooks_port = free_ports(6)
    services = ("gateway", "command", "projector", "webhooks")
    with asyncio.Runner() as runner:
        opened = open_installation(stack)
        installation = runner.run(opened.__aenter__())
        try:
            fields = {f"{service}_port": port for service, port in zip(services, ports, strict=True)}
            environ = {**os.environ, **installation.environ(**fields), "TRIPTYCH_STACK": "external"}
            gateway = f"127.0.0.1:{ports[0]}"
            topics = installation.topics
            names = (
                ("127.0.0.1:8080", gateway),
                ("127.0.0.1:9092", stack.kafka_bootstrap),
                ("127.0.0.1:9000", f"127.0.0.1:{hooks_port}"),
                ('("127.0.0.1", 9000)', f'("127.0.0.1", {hooks_port})'),
                ("127.0.0.1:9001", f"127.0.0.1:{other_hooks_port}"),
                ('("127.0.0.1", 9001)', f'("127.0.0.1", {other_hooks_port})'),
                ("triptych.commands", topics.commands),
                ("triptych.replies", topics.replies),
                ("triptych.events", topics.events),
                ("triptych.galleries", topics.galleries),
                # The client has the prefix of the topics as a default.
                ('source="shop"', f'source="shop", topic_prefix="{topics.prefix}"'),
                ('SQLiteStorage("galleries.db")', f'SQLiteStorage("galleries.db"), topic_prefix="{topics.prefix}"'),
                ('group_id="shop"', f'group_id="{topics.prefix}shop", topic_prefix="{topics.prefix}"'),
            )
            own = {
                "TRIPTYCH_KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
                "TRIPTYCH_TOPIC_PREFIX": topics.prefix,
                "LISTEN": f"127.0.0.1:{hooks_port}",
            }
            output = folder / "up.txt"
            with output.open("w") as file:
                up = subprocess.Popen(
                    [commands / "triptych", "up"], env=environ, cwd=folder, stdout=file, stderr=subprocess.STDOUT
                )
            try:
                ends = time.monotonic() + START_SECONDS
                while "Events, as they happen" not in output.read_text():
                    assert up.poll() is None, output.read_text()
                    assert time.monotonic() < ends, output.read_text()
                    time.sleep(0.05)
                yield Place(folder, output, names, f"http://{gateway}", own)
                children = children_of(up.pid)
            finally:
                up.terminate()
                status = up.wait(60)
            # SIGTERM ends it as Ctrl-C does.
            assert (status, len(children)) == (0, 4)
            assert not any(Path(f"/proc/{pid}").exists() for pid in children)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def write_commands(folder: Path, python: str) -> None:
    """Write what a checkout has in `.venv/bin`; `python` is what a shell runs for it."""
    for name, words in (("triptych", "-m triptych.cli"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {python} {words} "$@"\n')
        script.chmod(0o755)


def children_of(pid: int) -> list[str]:
    """The processes that a process has started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def happen(place: Place) -> None:
    """Something that makes an event of the demo gallery."""
    gallery = f"{place.gateway}/progallery/v2/galleries/{GALLERY_ID}"
    httpx.patch(gallery, headers={"Authorization": DEV_KEY}, json={"gallery": {"name": "Three panels"}}, timeout=20)
