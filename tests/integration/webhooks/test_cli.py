"""Tests the commands for listeners and deliveries, as scripts use them."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tests.support.histories import History
from tests.support.installation import Installation
from tests.support.kafka import Publish
from tests.support.receiver import Receiver, status
from tests.support.relay import SITE, Admin, OpenRelay
from triptych.cli.__main__ import app
from triptych.webhooks.store.delivery_documents import DeliveryStatus

CREATED = "wix.pro_gallery.gallery_v2_created"
DELETED = "wix.pro_gallery.gallery_v2_deleted"


def cli(installation: Installation, *words: str, **environ: str) -> Result:
    """Run the command as a shell would, in this process."""
    return CliRunner().invoke(app, words, env={**installation.environ(), **environ})


def answers(done: Result) -> list[dict[str, Any]]:
    """The JSON lines that a command printed."""
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_listeners_from_a_script(installation: Installation, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    options = ["--event", CREATED, "--event", DELETED, "--format", "wix-jwt", "--retry-delays", "1,5,30"]
    (created,) = answers(
        cli(installation, "listeners", "create", "https://e.com/h", *options, "--public-key", str(key))
    )
    listener = created["listener"]
    assert (created["id"], created["siteId"]) == (listener["id"], "default")
    assert created["secret"] is None
    assert "PRIVATE" not in json.dumps(created)
    assert (listener["eventTypes"], listener["retryDelays"]) == ([CREATED, DELETED], [1, 5, 30])
    assert key.read_text() == created["publicKey"]
    assert cli(installation, "listeners", "public-key", created["id"]).stdout == key.read_text()
    assert answers(cli(installation, "listeners", "list")) == [listener]
    (changed,) = answers(cli(installation, "listeners", "change", created["id"], "--retry-profile", "wix"))
    assert len(changed["retryDelays"]) == 12
    (rotated,) = answers(cli(installation, "listeners", "rotate-secret", created["id"], "--overlap", "60"))
    assert rotated["publicKey"] != created["publicKey"]
    assert "PRIVATE" not in json.dumps(rotated)
    assert cli(installation, "listeners", "rotate-shown-keys").stdout == ""
    assert answers(cli(installation, "listeners", "pause", created["id"]))[0]["status"] == "paused"
    answers(cli(installation, "listeners", "delete", created["id"]))
    assert answers(cli(installation, "listeners", "list")) == []


def test_mistakes_are_explained(installation: Installation) -> None:
    for words, message in [
        (("listeners", "create", "ftp://e.com"), "url: must be an http or https address"),
        (("listeners", "create", "https://e.com", "--retry-delays", "x"), "retryDelays[0]"),
        (("listeners", "show", "nope"), "no listener nope"),
        (("listeners", "pause", "nope"), "no listener nope"),
        (("listeners", "delete", "nope"), "no listener nope"),
        (("listeners", "rotate-secret", "nope"), "no listener nope"),
        (("listeners", "test", "nope"), "no listener nope"),
        (("deliveries", "show", "nope"), "no delivery nope"),
    ]:
        done = cli(installation, *words)
        assert done.exit_code == os.EX_CONFIG, (words, done)
        assert message in done.stderr
        assert "Traceback" not in done.stderr


async def test_deliveries_from_a_script(
    installation: Installation, open_relay: OpenRelay, admin: Admin, publish: Publish, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), retryDelays=[])
    receiver.script = [status(500)]
    history = History().create()

    async def run(*words: str) -> list[dict[str, Any]]:
        return answers(await asyncio.to_thread(cli, installation, "deliveries", *words))

    async with open_relay():
        await publish(history.messages)
        await admin.until(listener, DeliveryStatus.DEAD)
        (dead,) = await run("list", listener.id, "--status", "dead")
        (shown,) = await run("show", dead["id"])
        assert (shown["siteId"], shown["log"][0]["status"]) == (SITE, 500)
        assert await run("resend-dead", listener.id) == [{"queued": 1}]
        (resent,) = await run("resend", dead["id"])
        assert resent["manual"]
        since = "2026-01-01T00:00:00Z"
        assert await run("replay", listener.id, "--since", since, "--gallery", history.gallery_id) == [{"queued": 1}]
        assert await run("replay", listener.id, "--until", since) == [{"queued": 0}]
        await admin.until(listener, DeliveryStatus.DELIVERED, 3)
    (event,) = answers(await asyncio.to_thread(cli, installation, "listeners", "events"))
    assert event["type"] == "delivery.dead"
    await admin.database["listeners"].update_one({"_id": listener.id}, {"$set": {"status": "disabled"}})
    refused = await asyncio.to_thread(cli, installation, "deliveries", "resend", dead["id"], "--site", SITE)
    assert "is disabled" in refused.stderr


async def test_a_test_delivery_is_sent_and_its_answer_shown(
    installation: Installation, open_relay: OpenRelay, admin: Admin, receiver: Receiver
) -> None:
    listener = await admin.subscribe(receiver.url(), retryDelays=[], ordered=True)
    other = await admin.subscribe(receiver.url("/other"))
    receiver.script = [status(500, b"not today")]

    async def run(*words: str) -> list[dict[str, Any]]:
        return answers(await asyncio.to_thread(cli, installation, *words))

    async with open_relay():
        (failed,) = await run("listeners", "test", listener.id)
        assert (failed["status"], failed["log"][0]["status"], failed["log"][0]["answer"]) == ("dead", 500, "not today")
        (sent,) = await run("listeners", "test", listener.id)
        assert (sent["status"], sent["manual"], sent["log"][0]["status"]) == ("delivered", True, 200)
        # A test delivery can be sent again, but a replay does not find its event.
        await run("deliveries", "resend", sent["id"])
        *_, last = await receiver.until(3)
        assert await run("deliveries", "replay", other.id) == [{"queued": 0}]
    body = json.loads(last.body)
    assert (last.id, body["type"]) == (sent["eventId"], sent["eventType"])
    assert body["data"]["originatedFrom"] == "Test"
    answers(await asyncio.to_thread(cli, installation, "listeners", "pause", listener.id))
    paused = await asyncio.to_thread(cli, installation, "listeners", "test", listener.id)
    assert (paused.exit_code, "is paused" in paused.stderr) == (os.EX_CONFIG, True)


def test_another_key_is_refused(installation: Installation) -> None:
    answers(cli(installation, "listeners", "create", "https://e.com/h"))
    key = "c29tZS1vdGhlci1rZXktb2YtMzItYnl0ZXMtbGVuZ3Q="
    done = cli(installation, "listeners", "list", TRIPTYCH_SECRETS_KEY=key)
    assert done.exit_code == os.EX_CONFIG
    assert "TRIPTYCH_SECRETS_KEY is not the key" in done.stderr
    assert key not in done.output
