"""Writes: a command is sent, its reply arrives, and the response follows once the read model shows the change."""

import asyncio
import os
import re
import uuid

import pytest
from prometheus_client import REGISTRY

from tests.support.backend import Backend, item
from tests.support.gateway import GALLERIES, RunningGateway, StartGateway, shared
from tests.support.installation import Installation
from triptych.contract.codec.envelope import CommandEnvelope, gallery_id_of
from triptych.contract.commands import CreateGallery, CreateItems
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.gateway.access.keys import store_key
from triptych.gateway.writing.read_your_writes import CONSISTENT_HEADER
from triptych.gateway.writing.writes import COMMAND_ID_HEADER

pytestmark = shared("writes of the gateway")
NOTHING = {"message": "", "details": {}}
TEXT = {"title": "t", "text": {"html": "x"}}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_create_gallery(gateway: RunningGateway, backend: Backend, installation: Installation) -> None:
    posting = asyncio.create_task(
        gateway.client.post(
            GALLERIES,
            json={"gallery": {"name": "N", "items": [TEXT], "id": "ignored", "unknown": 1}, "galleryId": "ignored"},
            headers={"wix-site-id": "site-1", "traceparent": TRACE},
        )
    )
    command = await backend.next_command()
    assert isinstance(command.data, CreateGallery)
    assert command.data.to_wire() == {"gallery": {"name": "N", "items": [TEXT]}}
    assert (command.site_id, command.reply_to, command.traceparent) == ("site-1", gateway.reply_topic, TRACE)
    gallery_id, item_id = gallery_id_of(command), str(uuid.uuid4())
    await backend.accept(command, gallery_id, 2, item_id)
    # The views are written only now: a response that did not wait for them could not have this content.
    await backend.store(gallery_id, 2, [item(item_id)], "site-1")
    await backend.tell(command, gallery_id, 2)
    answer = await posting
    assert answer.status_code == 200
    assert answer.json()["gallery"]["items"] == [item(item_id)]
    assert answer.json()["gallery"]["totalItems"] == 1
    assert answer.headers[CONSISTENT_HEADER] == f"{gallery_id}:2"
    assert answer.headers["X-Wix-Request-Id"] == command.correlation_id
    gateway.assert_nothing_waits()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"gallery":null}', b'{"gallery":{"items":null}}'])
async def test_an_empty_gallery(gateway: RunningGateway, backend: Backend, body: bytes) -> None:
    posting = asyncio.create_task(gateway.client.post(GALLERIES, content=body))
    command = await backend.next_command()
    gallery_id = gallery_id_of(command)
    await backend.accept(command, gallery_id, 1)
    await backend.show(command, gallery_id, 1)
    assert (await posting).json()["gallery"]["items"] == []


async def test_create_item(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, item_id = str(uuid.uuid4()), str(uuid.uuid4())
    await backend.store(gallery_id, 1)
    posting = asyncio.create_task(
        gateway.client.post(
            f"{GALLERIES}/{gallery_id.upper()}/items",
            json={"galleryId": str(uuid.uuid4()), "item": TEXT},
            headers={"Idempotency-Key": "order-7"},
        )
    )
    command = await backend.next_command()
    assert isinstance(command.data, CreateItems)
    assert command.command_id == "order-7"
    assert command.data.to_wire() == {"galleryId": gallery_id, "items": [TEXT]}
    await backend.accept(command, gallery_id, 2, item_id)
    await backend.show(command, gallery_id, 2, [item(item_id)])
    answer = await posting
    assert (answer.status_code, answer.json()) == (200, {"item": item(item_id)})
    assert answer.headers[CONSISTENT_HEADER] == f"{gallery_id}:2"


async def test_an_item_in_a_notice_is_not_read(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, item_id = str(uuid.uuid4()), str(uuid.uuid4())
    posting = asyncio.create_task(gateway.client.post(f"{GALLERIES}/{gallery_id}/items", json={"item": TEXT}))
    command = await backend.next_command()
    # Nothing is stored, so only the notice can have said what the item is. It may come before the reply.
    await backend.tell(command, gallery_id, 2, item(str(uuid.uuid4())), item(item_id))
    await backend.accept(command, gallery_id, 2, item_id)
    answer = await posting
    assert (answer.status_code, answer.json()) == (200, {"item": item(item_id)})


async def test_an_item_in_a_notice_about_an_earlier_write_is_read(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, item_id = str(uuid.uuid4()), str(uuid.uuid4())
    await backend.store(gallery_id, 2, [{**item(item_id), "title": "new"}])
    posting = asyncio.create_task(
        gateway.client.patch(f"{GALLERIES}/{gallery_id}/items/{item_id}", json={"item": {"title": "new"}})
    )
    command = await backend.next_command()
    await backend.tell(command, gallery_id, 1, item(item_id))
    await backend.accept(command, gallery_id, 2, item_id)
    assert (await posting).json() == {"item": {**item(item_id), "title": "new"}}


async def test_a_lost_notice_delays_a_write(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id, item_id = str(uuid.uuid4()), str(uuid.uuid4())
    await backend.store(gallery_id, 1, [item(item_id)])
    posting = asyncio.create_task(
        gateway.client.patch(f"{GALLERIES}/{gallery_id}/items/{item_id}", json={"item": {"title": "new"}})
    )
    command = await backend.next_command()
    await backend.accept(command, gallery_id, 2, item_id)
    await backend.tell(command, gallery_id, 1)
    assert not posting.done()
    await backend.store(gallery_id, 2, [{**item(item_id), "title": "new"}])
    answer = await posting
    assert (answer.status_code, answer.json()) == (200, {"item": {**item(item_id), "title": "new"}})


async def test_a_change_that_is_visible_before_its_reply_comes(gateway: RunningGateway, backend: Backend) -> None:
    posting = asyncio.create_task(gateway.client.post(GALLERIES))
    command = await backend.next_command()
    gallery_id = gallery_id_of(command)
    await backend.show(command, gallery_id, 1)
    await backend.accept(command, gallery_id, 1)
    assert (await posting).status_code == 200


@pytest.mark.parametrize("version", ["present", "earlier"])
async def test_a_repeated_command_that_publishes_nothing_more(
    gateway: RunningGateway, backend: Backend, version: str
) -> None:
    posting = asyncio.create_task(gateway.client.post(GALLERIES, headers={"Idempotency-Key": "again"}))
    command = await backend.next_command()
    # Earlier versions did not include the source in derived ids.
    gallery_id = gallery_id_of(command) if version == "present" else derived_gallery_id("default", "again")
    await backend.store(gallery_id, 8)
    await backend.accept(command, gallery_id, 1)
    answer = await posting
    assert answer.status_code == 200
    assert answer.headers[CONSISTENT_HEADER] == f"{gallery_id}:1"


async def test_a_gallery_deleted_before_its_creation_is_answered(
    gateway: RunningGateway, backend: Backend, installation: Installation
) -> None:
    posting = asyncio.create_task(gateway.client.post(GALLERIES))
    command = await backend.next_command()
    gallery_id = gallery_id_of(command)
    await backend.accept(command, gallery_id, 1)
    await installation.database["gallery_views"].insert_one(
        {"_id": gallery_id, "siteId": "default", "sequence": 2, "deleted": True}
    )
    await backend.tell(command, gallery_id, 2)
    assert (await posting).status_code == 404


@pytest.mark.parametrize("item_ids", [(), ("a", "b")])
async def test_an_idempotency_key_of_a_write_of_another_kind(
    gateway: RunningGateway, backend: Backend, item_ids: tuple[str, ...]
) -> None:
    gallery_id = str(uuid.uuid4())
    await backend.store(gallery_id, 1)
    posting = asyncio.create_task(gateway.client.post(f"{GALLERIES}/{gallery_id}/items", json={"item": TEXT}))
    await backend.accept(await backend.next_command(), gallery_id, 1, *item_ids)
    assert (await posting).status_code == 422


async def test_an_idempotency_key_of_another_gallery(gateway: RunningGateway, backend: Backend) -> None:
    posting = asyncio.create_task(gateway.client.delete(f"{GALLERIES}/{uuid.uuid4()}"))
    await backend.accept(await backend.next_command(), str(uuid.uuid4()), 1)
    answer = await posting
    code = answer.json()["details"]["applicationError"]["code"]
    assert (answer.status_code, code) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_write_carries_what_identifies_it(
    gateway: RunningGateway, backend: Backend, installation: Installation
) -> None:
    await store_key(installation.database, "second", site_id=None, scopes=["manage"], name="of another client")
    path = f"{GALLERIES}/{uuid.uuid4()}"
    headers = {"Idempotency-Key": "k"}
    requests = [
        gateway.client.delete(path, headers=headers),
        gateway.client.delete(path, headers={**headers, "Authorization": "second"}),
        gateway.client.delete(f"{path}/items/{uuid.uuid4()}", headers=headers),
    ]
    commands = []
    for request in requests:
        posting = asyncio.create_task(request)
        commands.append(await backend.next_command())
        error = ReplyError(code=ErrorCode.IDEMPOTENCY_KEY_REUSED, message="m")
        await backend.answer(commands[-1], Reply(command_id="k", outcome="rejected", error=error))
        assert (await posting).status_code == 422
    first, other_client, other_endpoint = commands
    assert {command.command_id for command in commands} == {"k"}
    assert first.source != other_client.source
    assert (first.source, first.request) == (other_endpoint.source, "delete_gallery")
    assert other_endpoint.request == "delete_item"


async def test_a_rejection_has_field_paths_of_the_request(gateway: RunningGateway, backend: Backend) -> None:
    gallery_id = str(uuid.uuid4())
    posting = asyncio.create_task(gateway.client.post(f"{GALLERIES}/{gallery_id}/items", json={"item": TEXT}))
    command = await backend.next_command()
    error = ReplyError(code=ErrorCode.ALREADY_EXISTS, message="taken", data={"field": "items[0].sortOrder"})
    reply = Reply(command_id=command.command_id, outcome="rejected", gallery_id=gallery_id, error=error)
    await backend.answer(command, reply)
    answer = await posting
    assert answer.status_code == 409
    assert answer.json()["details"]["applicationError"]["data"] == {"field": "item.sortOrder"}
    gateway.assert_nothing_waits()


def waits(what: str, outcome: str) -> float:
    """How many writes have waited for a reply, or until they were visible, with this outcome."""
    found = REGISTRY.get_sample_value(f"triptych_gateway_{what}_seconds_count", {"outcome": outcome})
    assert found is not None, "no value before it occurs"
    return found


async def test_no_reply_in_time(start_gateway: StartGateway) -> None:
    before = waits("reply", "timeout")
    async with start_gateway(gateway_reply_timeout=0.2) as gateway:
        answer = await gateway.client.post(GALLERIES, headers={"Idempotency-Key": "mine"})
        assert (answer.status_code, answer.json()) == (504, NOTHING)
        assert answer.headers[COMMAND_ID_HEADER] == "mine"
        gateway.assert_nothing_waits()
        assert waits("reply", "timeout") == before + 1


async def test_a_read_model_that_falls_behind(start_gateway: StartGateway, backend: Backend) -> None:
    before = waits("reply", "accepted"), waits("visible", "timeout")
    async with start_gateway(gateway_view_timeout=0.2) as gateway:
        posting = asyncio.create_task(gateway.client.post(GALLERIES))
        command = await backend.next_command()
        gallery_id = gallery_id_of(command)
        await backend.accept(command, gallery_id, 1)
        answer = await posting
        assert (answer.status_code, answer.json()) == (504, NOTHING)
        assert answer.headers[COMMAND_ID_HEADER] == command.command_id
        assert answer.headers[CONSISTENT_HEADER] == f"{gallery_id}:1"
        gateway.assert_nothing_waits()
        assert (waits("reply", "accepted"), waits("visible", "timeout")) == (before[0] + 1, before[1] + 1)


async def test_more_than_one_message_can_hold(gateway: RunningGateway) -> None:
    # Random, so that compression does not make it fit.
    items = [{"text": {"html": os.urandom(45_000).hex()}} for _ in range(40)]
    answer = await gateway.client.post(GALLERIES, json={"gallery": {"items": items}})
    assert (answer.status_code, answer.json()["details"]["applicationError"]["code"]) == (413, "RESOURCE_EXHAUSTED")


async def test_a_request_whose_client_disconnects_leaves_no_waiters(
    start_gateway: StartGateway, backend: Backend
) -> None:
    async with start_gateway() as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(f"POST {GALLERIES} HTTP/1.1\r\nHost: x\r\nAuthorization: test-key\r\n\r\n".encode())
        command = await backend.next_command()
        writer.close()
        await writer.wait_closed()
        gallery_id = gallery_id_of(command)
        await backend.accept(command, gallery_id, 1)
        await backend.show(command, gallery_id, 1)
        # This write's records come later, so the abandoned request has ended when this one is answered.
        later = asyncio.create_task(gateway.client.post(GALLERIES))
        command = await backend.next_command()
        other_id = gallery_id_of(command)
        await backend.show(command, other_id, 1)
        await backend.accept(command, other_id, 1)
        assert (await later).status_code == 200
        assert reader.at_eof() or await reader.read() == b""
    gateway.assert_nothing_waits()


async def test_many_writes_at_once(gateway: RunningGateway, backend: Backend) -> None:
    count = 64
    posting = asyncio.gather(*(gateway.client.post(GALLERIES) for _ in range(count)))

    async def carry_out(command: CommandEnvelope) -> str:
        gallery_id = gallery_id_of(command)
        await backend.show(command, gallery_id, 1)
        await backend.accept(command, gallery_id, 1)
        return gallery_id

    # Concurrently: in sequence, the last write could exceed its time limit on a busy machine.
    seen = set(await asyncio.gather(*[carry_out(await backend.next_command()) for _ in range(count)]))
    answers = await posting
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["gallery"]["id"] for answer in answers} == seen
    assert all(re.fullmatch(r"[0-9a-f-]{36}:1", answer.headers[CONSISTENT_HEADER]) for answer in answers)
    gateway.assert_nothing_waits()
