"""Services and commands with secrets from files, and how they end if a secret is wrong."""

import asyncio
import os
import re
import ssl
import uuid
from pathlib import Path

import httpx
import orjson
import pytest

from tests.support.forks import start_fork
from tests.support.plain_http import NO_TLS
from tests.support.secure.links import Links, settings_of
from tests.support.secure.servers import KAFKA_PASSWORD, PASSWORD
from tests.support.waiting import eventually
from triptych.devstack.children import Child
from triptych.devstack.ports import free_ports
from triptych.kit.process.settings import PREFIX

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("secure-links")]


class Processes:
    """Processes of the product that get all their secrets from files."""

    def __init__(self, links: Links, folder: Path) -> None:
        fields = {**links.sasl("SCRAM-SHA-512"), **links.database()}
        secrets = {"kafka_password": KAFKA_PASSWORD, "mongo_password": PASSWORD}
        self.folder = folder
        settings = settings_of(fields)
        names = ("topic_prefix", "topic_partitions", "mongo_database")
        fields |= {name: getattr(settings, name) for name in names} | {"local": "true"}
        for name, secret in secrets.items():
            del fields[name]
            self.secret(name).write_text(f"{secret}\n")
            fields[f"{name}_file"] = self.secret(name)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environ = {**inherited, **{f"{PREFIX}{name.upper()}": str(value) for name, value in fields.items()}}

    def secret(self, name: str) -> Path:
        """The file of a secret."""
        return self.folder / name

    def start(self, *arguments: str, **fields: object) -> Child:
        """Start `python -m triptych.<arguments>`."""
        environ = {**self.environ, **{f"{PREFIX}{name.upper()}": str(value) for name, value in fields.items()}}
        log = self.folder / f"{uuid.uuid4().hex}.log"
        return start_fork(f"triptych.{arguments[0]}", *arguments[1:], env=environ, log=log)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run it to its end. Returns its exit status and what it printed."""
        child = self.start(*arguments)
        await eventually(lambda: asyncio.sleep(0, child.poll() is not None), "it ends", deadline_seconds=60)
        return child.stop(0), child.log.read_text()


@pytest.mark.timeout(180)
async def test_services_and_commands_with_secrets_from_files(links: Links, tmp_path: Path) -> None:
    processes = Processes(links, tmp_path)
    assert (await processes.run("cli", "provision"))[0] == 0
    pair = links.authority.issue("gateway", "localhost")
    command_port, port = free_ports(2)
    command = processes.start("command", command_port=command_port)
    gateway = processes.start(
        "gateway",
        gateway_port=port,
        gateway_tls_certificate_file=pair.certificate,
        gateway_tls_key_file=pair.key,
        gateway_tls_minimum="1.3",
    )
    trusting = ssl.create_default_context(cafile=links.authority.file)
    try:
        async with httpx.AsyncClient(verify=trusting, base_url=f"https://localhost:{port}") as client:

            async def is_ready() -> bool:
                try:
                    return (await client.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_ready, "the gateway is ready", deadline_seconds=60)
            assert (await client.get("/progallery/v2/galleries")).status_code == 401
        async with httpx.AsyncClient(verify=NO_TLS) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://localhost:{port}/health/live")
        status, printed = await processes.run("cli", "send", "CreateGallery", "{}")
        assert status == 0, printed
        assert orjson.loads(printed.splitlines()[-1])["outcome"] == "accepted"
    finally:
        logs = [child.log.read_text() for child in (gateway, command) if child.stop(20) == 0]
    assert len(logs) == 2
    for secret in (KAFKA_PASSWORD, PASSWORD):
        assert secret not in "".join([*logs, printed])


async def test_a_wrong_password_ends_a_service_and_a_command_with_78_and_one_line(links: Links, tmp_path: Path) -> None:
    processes = Processes(links, tmp_path)
    processes.secret("kafka_password").write_text("hidden")
    for arguments in (("command",), ("cli", "provision")):
        status, printed = await processes.run(*arguments)
        assert status == os.EX_CONFIG, printed
        lines = [line for line in printed.splitlines() if not re.search(r'"level":"info"|^installation:', line)]
        assert len(lines) == 1, printed
        assert "refuses the credentials (TRIPTYCH_KAFKA_USERNAME, TRIPTYCH_KAFKA_PASSWORD)" in lines[0]
        assert "hidden" not in printed
