"""Commands that wait for replies: each gets its own, and a wait is announced."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from triptych.cli import requests as requests_module
from triptych.cli.requests import CommandRequests, NoReply, read_reply
from triptych.cli.send import read_command
from triptych.kit.failures import TransientFailure

GALLERY = '{"galleryId":"11111111-1111-4111-8111-111111111111"}'


class Broker:
    """Takes commands and gives the replies that a test puts."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[Any] = asyncio.Queue()
        self.published = 0

    async def publish(self, records: list[Any]) -> None:
        self.published += len(records)

    def __aiter__(self) -> "Broker":
        return self

    async def __anext__(self) -> Any:
        found = await self.replies.get()
        if isinstance(found, Exception):
            raise found
        return found

    def answer(self, command_id: str) -> None:
        value = orjson.dumps({"commandId": command_id, "outcome": "accepted"})
        self.replies.put_nowait(SimpleNamespace(key=command_id.encode(), value=value))


async def test_each_command_gets_its_own_reply() -> None:
    broker = Broker()
    requests = CommandRequests(cast("Any", broker), "commands", 5)
    reading = asyncio.create_task(requests.read(cast("Any", broker)))
    asking = [
        asyncio.create_task(requests.ask(read_command("ClearGallery", GALLERY, "s", name))) for name in ("a", "b")
    ]
    while broker.published < len(asking):
        await asyncio.sleep(0)
    for name in ("stranger", "b", "a"):
        broker.answer(name)
    assert [reply["commandId"] for reply in await asyncio.gather(*asking)] == ["a", "b"]
    broker.replies.put_nowait(TransientFailure("Kafka is gone"))
    with pytest.raises(TransientFailure, match="gone"):
        await requests.ask(read_command("ClearGallery", GALLERY, "s", "c"))
    await reading


async def test_a_wait_is_announced_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(requests_module, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(requests_module, "LOOK_SECONDS", 0.01)
    requests = CommandRequests(cast("Any", Broker()), "commands", 0.3)
    announcing = asyncio.create_task(requests.announce())
    with pytest.raises(NoReply, match="Is the command service running"):
        await requests.ask(read_command("ClearGallery", GALLERY, "s", "a"))
    announcing.cancel()
    assert capsys.readouterr().err.count("no reply for") == 1


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b"nonsense"])
def test_what_is_not_a_reply_is_no_reply(value: bytes | None) -> None:
    assert read_reply(value) is None
