"""Commands that need topics report missing topics in one line, and report within seconds that Kafka does not answer."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from tests.support.installation import Installation
from triptych.cli.watch import watch
from triptych.devstack.ports import LOOPBACK
from triptych.kit.failures import NotYetAvailable
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup import provision


@pytest.mark.parametrize("arguments", [("send", "CreateGallery"), ("watch",), ("rebuild",)])
def test_commands_without_topics_say_what_to_run(installation: Installation, arguments: tuple[str, ...]) -> None:
    environ = {**os.environ, **installation.environ(topic_prefix=f"{installation.name}.none.")}
    done = subprocess.run(
        [sys.executable, "-m", "triptych.cli", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == os.EX_CONFIG
    installation_line, *lines = done.stderr.splitlines()
    assert installation_line.startswith("installation:")
    assert len(lines) == 1, done.stderr
    assert lines[0].endswith("triptych provision")


async def test_a_broker_that_accepts_connections_and_does_not_answer_is_reported_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provision, "ANSWER_SECONDS", 0.3)
    ended = asyncio.Event()

    async def stay_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(stay_silent, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = KitSettings(kafka_bootstrap=f"{LOOPBACK}:{port}")
        before = time.monotonic()
        with pytest.raises(NotYetAvailable, match="does not answer"):
            await watch(settings, print)
        assert time.monotonic() - before < 5
        ended.set()
