"""Events and log lines name the sender of their command, also after a job."""

import logging

import pytest

from tests.support.commands import structured
from tests.support.kafka import Record
from tests.support.sender import Sender
from triptych.command.domain.decide import DIRECT_ITEMS

TRACE = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later"


async def put(sender: Sender, name: str, gallery_id: str, command_id: str, **attributes: str) -> None:
    value = structured(name, {"galleryId": gallery_id}, id=command_id, **attributes)
    await sender.producer.send(sender.installation.topics.commands, value, key=gallery_id.encode())


async def headers_of(sender: Sender, command_id: str, count: int) -> list[dict[str, bytes]]:
    """The headers of the records that a command caused."""
    found: list[dict[str, bytes]] = []

    def are_there(records: list[Record]) -> bool:
        found[:] = [
            headers for record in records if (headers := dict(record.headers))["ce_causationid"] == command_id.encode()
        ]
        return len(found) >= count

    await sender.events.read_until(are_there, f"{count} events of {command_id}", deadline_seconds=30)
    return found


@pytest.mark.parametrize("count", [1, DIRECT_ITEMS + 1])
async def test_events_and_snapshots_name_the_sender_of_their_command(sender: Sender, count: int) -> None:
    gallery_id = await sender.gallery(count)
    await put(sender, "RepublishGallery", gallery_id, "again", source="/shop", traceparent=TRACE, tracestate="a=1")
    await put(sender, "ClearGallery", gallery_id, "empty", source="/keeper")
    assert (await sender.reply_to("empty"))["outcome"] == "accepted"
    for headers in await headers_of(sender, "again", count + 2):
        assert headers["ce_commandsource"] == b"/shop"
        assert (headers["traceparent"], headers["tracestate"]) == (TRACE.encode(), b"a=1")
    for headers in await headers_of(sender, "empty", count):
        assert headers["ce_commandsource"] == b"/keeper"
        assert "traceparent" not in headers


async def test_rejected_and_refused_commands_are_logged_with_their_senders(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "triptych")
    await put(sender, "ClearGallery", "10000000-0000-4000-8000-000000000000", "gone", source="/shop", siteid="s1")
    assert (await sender.reply_to("gone"))["error"]["code"] == "NOT_FOUND"
    await put(sender, "ClearGallery", "no id", "bad", source="/shop", siteid="s2")
    assert (await sender.reply_to("bad"))["error"]["code"] == "INVALID_ARGUMENT"
    await put(sender, "NoCommand", "", "odd", source="/shop", siteid="s3")
    assert (await sender.reply_to("odd"))["error"]["code"] == "UNIMPLEMENTED"
    logged = [getattr(record, "about", {}) for record in caplog.records if record.name.startswith("triptych")]
    rejected = [(one["site"], one["source"], one["command"]) for fields in logged for one in fields.get("rejected", ())]
    assert rejected == [("s1", "/shop", "gone"), ("s2", "/shop", "bad"), ("s3", "/shop", "odd")]
    assert {"site": "s3", "source": "/shop", "command": "odd"} in logged
