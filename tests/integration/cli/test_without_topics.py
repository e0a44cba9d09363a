"""Commands that need topics report missing topics in one line, and report within seconds that Kafka does not answer."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.support.children import wait_for
from tests.support.forks import start_fork
from tests.support.installation import Installation
from triptych.cli.watch import watch
from triptych.devstack.ports import LOOPBACK
from triptych.kit.failures import NotYetAvailable
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup import provision


@pytest.mark.without_topics
@pytest.mark.parametrize("arguments", [("send", "CreateGallery"), ("watch",), ("rebuild",)])
def test_commands_without_topics_say_what_to_run(
    installation: Installation, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    environ = {**os.environ, **installation.environ(topic_prefix=f"{installation.name}.none.")}
    command = start_fork("triptych.cli", *arguments, env=environ, log=tmp_path / "printed")
    wait_for(lambda: command.poll() is not None, seconds=30)
    assert command.stop(0) == os.EX_CONFIG
    printed = command.log.read_text()
    installation_line, *lines = printed.splitlines()
    assert installation_line.startswith("installation:")
    assert len(lines) == 1, printed
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
