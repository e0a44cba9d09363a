"""The product in containers does its main job, and the official client finds nothing wrong with it."""

import re
import shlex
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from tests.support.conformance import run_script
from tests.support.deployment import ROOT, Deployment
from tests.support.main_job import send_commands_as_a_stranger, send_requests
from triptych.contract.topics import Topics

pytestmark = pytest.mark.timeout(1_200)
SITE = "0b5e8a7e-5d0c-4f5f-9a43-0d6f6a1c2b3d"
WRITE_KEY = "import json, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(json.load(sys.stdin)['publicKey'])"


@pytest.fixture(scope="module")
def key(deployed: Deployment) -> str:
    """A key, made as a first user makes one."""
    return deployed.cli("keys", "create", "tests").strip()


def client(deployed: Deployment, key: str, site: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": key, **({"wix-site-id": site} if site else {})}
    return httpx.AsyncClient(base_url=f"{deployed.gateway}/progallery", headers=headers, timeout=60)


async def test_the_main_job_over_kafka(deployed: Deployment, key: str) -> None:
    async with client(deployed, key) as reader:
        await send_commands_as_a_stranger(deployed.kafka_bootstrap, Topics(), reader)


async def test_the_main_job_over_http(deployed: Deployment, key: str) -> None:
    async with client(deployed, key, uuid.uuid4().hex) as writer:
        await send_requests(deployed.kafka_bootstrap, Topics(), writer)


async def test_the_console_was_built_into_the_image(deployed: Deployment) -> None:
    async with httpx.AsyncClient(base_url=deployed.gateway, timeout=60) as reader:
        page = (await reader.get("/")).raise_for_status().text
        parts = re.findall(r'(?:src|href)="\./(console-files/[^"]+)"', page)
        assert {part.rpartition(".")[2] for part in parts} == {"js", "css"}, page
        for part in parts:
            assert len((await reader.get(f"/{part}")).raise_for_status().content) > 1_000


async def test_the_official_client_against_the_gateway(deployed: Deployment, key: str, tmp_path: Path) -> None:
    outcome = await run_script("run.mjs", tmp_path, deployed.gateway, key, environ={"OTHER_SITE_ID": str(uuid.uuid4())})
    assert (outcome.verdict, outcome.status) == ("88 passed, 0 failed", 0), outcome.output


async def test_the_official_client_against_the_relay(deployed: Deployment, key: str, tmp_path: Path) -> None:
    key_file = tmp_path / "key.pem"
    create = ["docker", "compose", "run", "--rm", "-T", "cli", "listeners", "create", "$CALLBACK_URL"]
    options = ["--format", "wix-jwt", "--retry-delays", "1", "--site", SITE]
    save = shlex.join([sys.executable, "-c", WRITE_KEY, str(key_file)])
    subscribe = f"{' '.join([*create, *options])} $(for t in $(echo $EVENT_TYPES | tr , ' '); do echo --event $t; done)"
    outcome = await run_script(
        "webhooks.mjs",
        tmp_path,
        deployed.gateway,
        key,
        environ={
            **deployed.environ,
            "COMPOSE_FILE": str(ROOT / "compose.yaml"),
            "LISTEN_HOST": deployed.host_address,
            "PUBLIC_KEY_FILE": str(key_file),
            "SUBSCRIBE_CMD": f"{subscribe} | {save}",
            "RETRY": "1",
            "SITE_ID": SITE,
            "CHECK_TIMEOUT_MS": "60000",
        },
    )
    assert (outcome.verdict, outcome.status) == ("25 passed, 0 failed", 0), outcome.output


def test_what_the_projector_made_equals_what_was_written(deployed: Deployment) -> None:
    assert "equal to the write model" in deployed.cli("verify")
