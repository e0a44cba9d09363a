"""Events and log lines name the sender of their command, also after a job."""

import logging
from collections import Counter

import pytest
from prometheus_client import REGISTRY

from tests.support.commands import structured
from tests.support.early_jobs import DIRECT_ITEMS
from tests.support.installation import PARTITIONS
from tests.support.kafka import Record
from tests.support.log_lines import Fields, logged
from tests.support.sender import Sender
from tests.support.waiting import eventually
from triptych.kit.kafka.partitions import partition_of

MISSING = "10000000-0000-4000-8000-000000000000"
COMMANDS = 300
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


@pytest.mark.usefixtures("early_jobs")
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
    await put(sender, "ClearGallery", MISSING, "gone", source="/shop", siteid="s1")
    assert (await sender.reply_to("gone"))["error"]["code"] == "NOT_FOUND"
    await put(sender, "ClearGallery", "no id", "bad", source="/shop", siteid="s2")
    assert (await sender.reply_to("bad"))["error"]["code"] == "INVALID_ARGUMENT"
    await put(sender, "NoCommand", "", "odd", source="/shop", siteid="s3")
    assert (await sender.reply_to("odd"))["error"]["code"] == "UNIMPLEMENTED"
    commands = [("s1", "/shop", "gone"), ("s2", "/shop", "bad"), ("s3", "/shop", "odd")]

    async def are_logged() -> bool:  # a batch writes its lines after its replies
        dead = logged(caplog.records, "records were dead-lettered")
        assert all(line["topic"] == sender.installation.topics.commands for line in dead)
        rejected = logged(caplog.records, "commands were rejected")
        return [named(line) for line in rejected] == commands and commands[2] in [named(line) for line in dead]

    await eventually(are_logged, "the senders are in the log")


async def test_a_batch_of_refused_commands_writes_one_line_of_each_kind(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    topic, partition = sender.installation.topics.commands, partition_of(MISSING.encode(), PARTITIONS)
    for number in range(COMMANDS):
        name = ("ClearGallery", "DeleteGallery", "NoCommand")[number % 3]
        value = structured(name, {"galleryId": MISSING}, id=f"many-{number}", source="/shop", siteid="s1")
        await sender.producer.send(topic, value, key=MISSING.encode(), partition=partition)
    await sender.reply_to(f"many-{COMMANDS - 1}")

    async def are_counted() -> bool:
        counts = [
            sum(line["count"] for line in logged(caplog.records, event))
            for event in ("commands were rejected", "records were dead-lettered")
        ]
        return counts == [COMMANDS, COMMANDS // 3]

    await eventually(are_counted, "every refused command is counted in the log")
    batches = REGISTRY.get_sample_value("triptych_batch_seconds_count", {"topic": topic}) or 0
    for event in {line["event"] for line in logged(caplog.records)}:
        assert len(logged(caplog.records, event)) <= batches, event
    assert batches < COMMANDS / 10
    kinds = sum((Counter(line["kinds"]) for line in logged(caplog.records, "commands were rejected")), Counter[str]())
    assert kinds == {"NOT_FOUND": 2 * COMMANDS // 3, "UNIMPLEMENTED": COMMANDS // 3}


def named(line: Fields) -> tuple[str, str, str]:
    """Who sent a command, and what it is called."""
    return line["site_id"], line["source"], line["command_id"]
