"""A command that fails becomes a dead letter; its cause is repaired; it is replayed, and takes effect once."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.support.commands import TEXT, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.own_cli import printed, typed
from tests.support.product import Gateway
from tests.support.waiting import eventually
from triptych.command.domain import decide as decide_module
from triptych.command.domain.state import Change
from triptych.command.domain.unit_of_work import ReceivedCommand
from triptych.gateway.access.keys import store_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dead-letters-http")]
PATH = "/v1/dead-letters"


class Fault:
    """A fault in the code of the command service."""

    def __init__(self) -> None:
        self.command_id: str | None = None


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Commands with its id fail."""
    made, change = Fault(), decide_module._change

    def breaking(command: ReceivedCommand, *args: Any, **named: Any) -> Change:
        if command.envelope.command_id == made.command_id:
            raise ZeroDivisionError("a fault of ours")
        return change(command, *args, **named)

    monkeypatch.setattr(decide_module, "_change", breaking)
    return made


@pytest.fixture
def operator(gateway: Gateway) -> Iterator[httpx.AsyncClient]:
    """A client with a key of no site, which names none."""
    site, base = gateway.client.headers.pop("wix-site-id"), gateway.client.base_url
    gateway.client.base_url = httpx.URL(gateway.address)
    yield gateway.client
    gateway.client.headers["wix-site-id"], gateway.client.base_url = site, base


def replayed(installation: Installation, topic: str, outcome: str) -> float:
    labels = {"topic": getattr(installation.topics, topic), "outcome": outcome}
    return REGISTRY.get_sample_value("triptych_dead_letters_replayed_total", labels) or 0.0


async def send(installation: Installation, value: bytes, key: str) -> None:
    async with raw_producer(installation.addresses.kafka_bootstrap) as producer:
        await producer.send_and_wait(installation.topics.commands, value, key=key.encode())


async def letter_of(operator: httpx.AsyncClient, command_id: str, count: int = 1, **query: str) -> list[Any]:
    """The dead letters of a command, once there are `count`."""

    async def are_there() -> list[Any]:
        answer = await operator.get(PATH, params={"messageId": command_id, **query})
        found: list[Any] = answer.raise_for_status().json()["deadLetters"]
        return found if len(found) == count else []

    return await eventually(are_there, f"{count} dead letters of {command_id}")


async def test_a_command_is_carried_out_once_when_its_cause_is_repaired(
    shared: Installation, operator: httpx.AsyncClient, fault: Fault
) -> None:
    galleries = "/progallery/v2/galleries"
    gallery_id = (await operator.post(galleries, json={})).json()["gallery"]["id"]
    fault.command_id = uuid.uuid4().hex
    command = structured("CreateItems", {"galleryId": gallery_id, "items": [TEXT]}, id=fault.command_id)
    await send(shared, command, gallery_id)
    (letter,) = await letter_of(operator, fault.command_id)
    assert (letter["reason"], letter["galleryId"], letter["siteId"]) == ("handler-failed", gallery_id, "default")
    shown = (await operator.get(f"{PATH}/{letter['id']}")).raise_for_status().json()["deadLetter"]
    assert shown["value"]["text"].encode() == command
    value = await operator.get(f"{PATH}/{letter['id']}/value")
    assert (value.content, value.headers["content-type"]) == (command, "application/octet-stream")

    # The cause is still there: the record becomes a dead letter again, which says where it comes from.
    (result,) = printed(await typed(shared, "dead-letters", "replay", letter["id"], "--json"))
    assert (result["id"], result["refusal"]) == (letter["id"], None)
    (again,) = await letter_of(operator, fault.command_id)
    assert (again["replays"], again["replayOf"]) == (1, letter["id"])

    command_id, fault.command_id = fault.command_id, None
    query = ["--message", command_id, "--json"]
    done, stale = (replayed(shared, "commands", outcome) for outcome in ("done", "stale"))
    (result,) = printed(await typed(shared, "dead-letters", "replay", *query, "--yes"))
    assert (result["id"], result["refusal"]) == (again["id"], None)

    async def items() -> list[Any]:
        found: list[Any] = (await operator.get(f"{galleries}/{gallery_id}/items")).json()["items"]
        return found

    (item,) = await eventually(items, "the item")
    assert item["text"] == TEXT["text"]
    assert replayed(shared, "commands", "done") == done + 1
    assert printed(await typed(shared, "dead-letters", "list", *query)) == []
    handled = printed(await typed(shared, "dead-letters", "list", *query, "--state", "replayed"))
    assert {one["id"] for one in handled} == {letter["id"], again["id"]}
    assert all(one["actions"][0]["by"].startswith("cli:") for one in handled)

    # What was carried out is stale: it is answered, and nothing happens a second time.
    refused = await operator.post(f"{PATH}/{again['id']}/replay")
    assert (refused.status_code, refused.json()["details"]["applicationError"]["data"]) == (409, {"refusal": "HANDLED"})
    sent = await operator.post(f"{PATH}/{again['id']}/replay", json={"again": True})
    assert sent.raise_for_status().json()["result"]["to"].startswith(shared.topics.commands)

    async def is_counted() -> bool:
        return replayed(shared, "commands", "stale") == stale + 1

    await eventually(is_counted, "the stale command to be counted")
    assert [one["id"] for one in await items()] == [item["id"]]
    shown = (await operator.get(f"{PATH}/{again['id']}")).json()["deadLetter"]
    assert [action["by"].partition("/gateway/")[0] for action in shown["actions"]][1] == "triptych"


async def test_many_are_handled_step_by_step(shared: Installation, operator: httpx.AsyncClient) -> None:
    key = str(uuid.uuid4())
    for _ in range(3):
        await send(shared, b'{"specversion":"1.0","id":"many","type":"triptych.command.v1.Nonsense"}', key)
    await letter_of(operator, "many", 3)
    page = (await operator.get(PATH, params={"messageId": "many", "limit": 2})).json()
    assert len(page["deadLetters"]) == 2
    rest = (await operator.get(PATH, params={"messageId": "many", "cursor": page["cursor"]})).json()
    assert (len(rest["deadLetters"]), rest["cursor"]) == (1, None)
    body = {"messageId": "many", "reason": "UNKNOWN_TYPE"}
    dry = (await operator.post(f"{PATH}/replay-matching", json={**body, "dryRun": True})).raise_for_status().json()
    assert (dry["done"], dry["refused"]) == (3, 0)
    # They fail again, and become new dead letters; a step leaves those alone.
    step = (await operator.post(f"{PATH}/replay-matching", json=body)).raise_for_status().json()
    assert step["done"] == 3
    again = await letter_of(operator, "many", 3)
    assert {letter["replays"] for letter in again} == {1}
    dropped, cursor = 0, None
    while True:
        step = (await operator.post(f"{PATH}/drop-matching", json={**body, "cursor": cursor})).raise_for_status().json()
        dropped, cursor = dropped + step["done"], step["cursor"]
        if cursor is None:
            break
    assert dropped == 3
    assert (await operator.get(PATH, params={"messageId": "many"})).json()["deadLetters"] == []
    (lines) = (await typed(shared, "dead-letters", "list", "--message", "many", "--state", "dropped")).stdout
    assert lines.count("UNKNOWN_TYPE") == 3
    unlimited = await operator.post(f"{PATH}/drop-matching", json={})
    assert "must have topic" in unlimited.json()["message"]


async def test_no_site_reads_dead_letters(shared: Installation, gateway: Gateway, operator: httpx.AsyncClient) -> None:
    await store_key(shared.database, "of-a-site", site_id="s", scopes=["dead-letters"], name="site")
    await store_key(shared.database, "no-scope", site_id=None, scopes=["read", "manage", "listeners"], name="other")
    operations = [
        (method.upper(), path.replace("{deadLetterId}", "t.commands.dead-letter-0@0"))
        for path, described in gateway.app.openapi()["paths"].items()
        for method in described
        if path.startswith(PATH)
    ]
    assert len(operations) == 7
    for headers, status in (
        ({"Authorization": "of-a-site"}, 403),
        ({"Authorization": "no-scope"}, 403),
        ({"wix-site-id": "s"}, 403),
        ({"Authorization": "none"}, 401),
    ):
        for method, path in operations:
            assert (await operator.request(method, path, headers=headers)).status_code == status, (method, path)


async def test_mistakes_on_the_command_line_are_explained(shared: Installation, gateway: Gateway) -> None:
    missing = f"{shared.topics.commands}.dead-letter-0@999999"
    for words, status, message in [
        (("show", "nonsense"), 78, "is not the id of a dead letter"),
        (("show", missing), 78, "There is no dead letter"),
        (("replay",), 78, "Name either ids or filters"),
        (("replay", missing, "--topic", "commands"), 78, "Name either ids or filters"),
        (("drop", "--reason", "x"), 78, "0 dead letters match. Add --yes"),
        (("list", "--gallery", "x"), 2, "is not a GUID"),
    ]:
        done = await typed(shared, "dead-letters", *words)
        assert (done.exit_code, message in done.stderr) == (status, True), (words, done.stderr)
    refused = await typed(shared, "dead-letters", "replay", missing)
    assert (refused.exit_code, refused.stdout.split()[1:]) == (1, ["refused", "NOT_FOUND"])
    keys = await typed(shared, "keys", "create", "k", "--site", "s", "--scope", "dead-letters")
    assert keys.exit_code == 2
