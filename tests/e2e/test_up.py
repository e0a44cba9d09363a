"""`triptych up` as a newcomer runs it: the ready block tells the truth, and nothing is left running afterwards."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.children import wait_for
from tests.support.exposed import documented, names, scrape, series
from tests.support.forks import start_fork
from tests.support.installation import Installation
from tests.support.promql import unanswered
from tests.support.secrets import check_logs, issue
from tests.support.waiting import eventually
from triptych.cli.up import SERVICES
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.gateway.api.examples import DEV_KEY

pytestmark = pytest.mark.xdist_group("up")
CLI = [sys.executable, "-m", "triptych.cli"]


class Up:
    """A running `triptych up` and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes] | Child, output: Path, ports: Mapping[str, int]) -> None:
        self.pid = process.pid
        self.status = process.poll
        """Its exit status; None while it runs."""
        self.ports = ports
        """The port of each service, by the field of the settings."""
        self._output = output

    def text(self) -> str:
        return self._output.read_text()

    def services(self) -> set[int]:
        """The processes that it has started."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid) for pid in listed}

    def end(self) -> int | None:
        """Wait until it has ended; its exit status."""
        wait_for(lambda: self.status() is not None, seconds=30)
        return self.status()

    async def until(self, words: str) -> str:
        async def printed() -> str | None:
            assert self.status() is None, self.text()
            return self.text() if words in self.text() else None

        return await eventually(printed, f"{words!r} is printed", deadline_seconds=60)


def where_to_run(installation: Installation, **fields: object) -> tuple[dict[str, int], dict[str, str]]:
    """Free ports of the services by the field of the settings, and the environment of `triptych up`."""
    ports = dict(zip(("command_port", "projector_port", "gateway_port", "webhooks_port"), free_ports(4), strict=True))
    return ports, {**os.environ, **installation.environ(**{**ports, **fields}), "TRIPTYCH_STACK": "external"}


@contextmanager
def running_up(installation: Installation, directory: Path) -> Iterator[Up]:
    """Run it as it is typed."""
    ports, environ = where_to_run(installation)
    output = directory / "up.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [*CLI, "up"], env=environ, cwd=directory, stdout=file, stderr=subprocess.STDOUT, preexec_fn=_hear_ctrl_c
        )
    try:
        yield Up(process, output, ports)
    finally:
        process.kill()
        process.wait()


@contextmanager
def forked_up(installation: Installation, directory: Path, **fields: object) -> Iterator[Up]:
    """Run a fork of what has imported it: only its services start as they always do."""
    ports, environ = where_to_run(installation, **fields)
    process = start_fork("triptych.cli", "up", env=environ, log=directory / "up.txt", cwd=directory)
    try:
        yield Up(process, process.log, ports)
    finally:
        process.stop(0)


def _hear_ctrl_c() -> None:
    # As in a terminal: what a shell starts in the background ignores SIGINT, and so do its children, this test too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def left(pids: set[int]) -> dict[int, str]:
    """Those of these processes that still exist, with the beginning of what the system says of each."""
    found = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = " ".join(Path(f"/proc/{pid}/status").read_text().split()[:12])
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="the commands to try use curl")
async def test_ready_block_tells_the_truth_and_ctrl_c_ends_everything(shared: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRIPTYCH_")}
    with running_up(shared, folder) as up:
        text = await up.until("Events, as they happen")
        read, add, send = re.findall(r"^     ((?:curl|\.venv/bin/triptych) .*)$", text, re.MULTILINE)

        def run(command: str) -> dict[str, object]:
            # In another terminal of the same folder: what the environment of `up` said is not known there.
            command = command.replace(".venv/bin/triptych", shlex.join(CLI))
            done = subprocess.run(["bash", "-c", command], env=environ, cwd=folder, capture_output=True, check=True)
            answer: dict[str, object] = json.loads(done.stdout)
            return answer

        gallery = run(read)["gallery"]
        assert isinstance(gallery, dict)
        assert (gallery["name"], gallery["totalItems"], len(gallery["items"])) == ("Three panels", 3, 3)
        item = run(add)["item"]
        assert isinstance(item, dict)
        assert (item["title"], item["type"]) == ("Hello", "TEXT")
        assert run(send)["sequence"] == 6
        events = (await up.until("'From Kafka'")).split("Events, as they happen")[1]
        assert re.findall(r"#(\d+)", events) == ["5", "6"]

        check_metrics({name.removesuffix("_port"): port for name, port in up.ports.items()})

        services = up.services()
        assert len(services) == 4
        os.kill(up.pid, signal.SIGINT)
        assert up.end() == 0
        assert left(services) == {}
    issue(DEV_KEY)
    logs = folder / ".triptych" / "logs"
    assert check_logs(logs / f"{name}.log" for name in SERVICES) >= 2 * len(SERVICES)


def check_metrics(ports: Mapping[str, int]) -> None:
    """Each service exposes what docs/metrics.md says, and all of them what dashboards and alerts ask for."""
    texts = {service: scrape(f"http://127.0.0.1:{port}") for service, port in ports.items()}
    for service, text in texts.items():
        reported = {name for name, (_, _, services) in documented().items() if service in services}
        assert reported <= names(text), f"{service} lacks {sorted(reported - names(text))}"
    exposed = series(texts.values())
    assert unanswered(exposed) == []
    for name, (kind, labels, _) in documented().items():
        found = exposed.get(f"{name}_count" if kind == "histogram" else name)
        assert found is None or found == labels, f"{name} has the labels {found}"
    assert names("".join(texts.values())) <= documented().keys()
    if shutil.which("promtool"):
        for text in texts.values():
            linted = subprocess.run(
                ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
            )
            assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
async def test_ending_it_otherwise_ends_its_services_too(
    shared: Installation, tmp_path: Path, number: signal.Signals
) -> None:
    """As soon as they are started; that SIGTERM ends it later, too, is shown where the pages of docs/ are tested."""
    with forked_up(shared, tmp_path) as up:

        async def started() -> set[int] | None:
            assert up.status() is None, up.text()
            services = up.services()
            return services if len(services) == 4 else None

        services = await eventually(started, "four services are started", deadline_seconds=60)
        os.kill(up.pid, number)

        async def gone() -> bool:
            return not left(services)

        try:
            await eventually(gone, "the services are gone", deadline_seconds=30)
        except AssertionError as error:
            raise AssertionError(f"{error}: {left(services)}\n{up.text()}") from None
        assert up.end() == (0 if number == signal.SIGTERM else -number)


def test_a_busy_port_is_said_so_and_nothing_is_started(shared: Installation, tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with forked_up(shared, tmp_path, gateway_port=port) as up:
            assert up.end() == os.EX_CONFIG
            assert f"Port {port}" in up.text()
            assert "TRIPTYCH_GATEWAY_PORT" in up.text()
        assert not (tmp_path / ".triptych" / "logs").exists()


def test_a_wrong_command_is_explained(shared: Installation, tmp_path: Path) -> None:
    environ = {**os.environ, **shared.environ()}
    command = start_fork("triptych.cli", "send", "CreateItems", '{"items": []}', env=environ, log=tmp_path / "printed")
    wait_for(lambda: command.poll() is not None, seconds=30)
    assert command.stop(0) == os.EX_CONFIG
    printed = command.log.read_text()
    assert "galleryId: is required" in printed
    assert "Traceback" not in printed
