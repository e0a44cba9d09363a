"""No record that Triptych publishes is refused by a reader of its own: each type goes through every reader."""

from typing import Any
from unittest.mock import AsyncMock, MagicMock, call

import pytest
from aiokafka import ConsumerRecord

from tests.support.histories import History
from tests.support.listener_examples import listener
from triptych.command.flow.sorting import sort_records
from triptych.contract.codec.envelope import CommandEnvelope, Message, encode_command, encode_reply
from triptych.contract.codec.events import EventType
from triptych.contract.codec.notices import Shown, encode_notice
from triptych.contract.commands import COMMANDS
from triptych.contract.replies import Reply
from triptych.contract.snapshots import SNAPSHOT_RECORDS
from triptych.gateway.writing.read_your_writes import GalleryWaiters
from triptych.gateway.writing.replies import ReplyTopic, ReplyWaiters
from triptych.kit.kafka.partitions import partition_of
from triptych.projector.ingest.event_reader import EventReader
from triptych.webhooks.relay.handler import DeliveryPlanner as Planning

GALLERY = "10000000-0000-4000-8000-000000000000"
ITEM = "20000000-0000-4000-8000-000000000000"
TEXT = {"text": {"html": "h"}}
PARTITIONS = 12
DATA: dict[str, dict[str, Any]] = {
    "CreateGallery": {"gallery": {"name": "n", "items": [TEXT]}},
    "UpdateGallery": {"gallery": {"name": "n"}},
    "CreateItems": {"items": [TEXT]},
    "UpdateItem": {"itemId": ITEM, "item": TEXT},
    "MoveItem": {"itemId": ITEM, "to": "start"},
    "MoveItems": {"itemIds": [ITEM], "to": "end"},
    "RestoreGallery": {"sequence": 1},
    "DeleteItems": {"itemIds": [ITEM]},
}


def published_events() -> dict[str, Message]:
    """A record of each type that is on the topic of events, by its type."""
    made = History(GALLERY, site_id="s").create(first_items=1)
    made.update_item(made.add_item(1.0, ITEM), title="t").rename("other")
    snapshot = made.snapshot()
    return {dict(message.headers)["ce_type"].decode(): message for message in (*made.delete().messages, *snapshot)}


EVENTS = published_events()


def record(message: Message, partition: int = 0) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("t", partition, 0, 0, 0, message.key, message.value, None, 0, 0, message.headers)


def test_all_types_are_here() -> None:
    assert len(EVENTS) == len(EventType) + len(SNAPSHOT_RECORDS)


@pytest.mark.parametrize("name", EVENTS)
async def test_the_relay_refuses_none(name: str) -> None:
    wanted = listener(event_types=frozenset(EventType), site_id="s")
    repository = MagicMock(plan=AsyncMock(return_value=set()), promote=AsyncMock())
    publisher, letters = AsyncMock(), MagicMock(letters=AsyncMock(return_value=[]))
    listener_cache = MagicMock(of_site=lambda _site: [wanted])
    claimer = MagicMock(refresh=AsyncMock(), free_slots=lambda _listener: 0)
    expiry_reporter = MagicMock(check=AsyncMock())
    handler: Any = Planning(
        repository, listener_cache, claimer, publisher, letters, expiry_reporter, *[MagicMock()] * 2
    )
    await handler.handle([record(EVENTS[name])])
    assert letters.letters.await_args_list == [call([])]
    assert letters.report.call_args_list == [call([])]
    planned = [delivery for one in repository.plan.await_args_list for delivery in one.args[1]]
    assert len(planned) == (1 if name in set(EventType) else 0)


@pytest.mark.parametrize("name", EVENTS)
def test_the_projector_refuses_none(name: str) -> None:
    found = EventReader().read_all([record(EVENTS[name])])
    ((site_id, thing),) = found.inputs
    assert (site_id, thing.gallery_id, found.wanted, found.refused) == ("s", GALLERY, [], [])


async def test_the_gateway_refuses_neither_replies_nor_notices(caplog: pytest.LogCaptureFixture) -> None:
    replies, galleries = ReplyWaiters(), GalleryWaiters()
    reply = Reply(command_id="c", outcome="accepted", gallery_id=GALLERY, sequence=3)
    topic = ReplyTopic(replies, galleries)
    with replies.expect("k") as future, galleries.watch("s", GALLERY) as waiter:
        topic.receive(record(encode_reply(reply, correlation_id="k", site_id="s")))
        topic.receive(record(encode_notice([Shown("s", GALLERY, 3)])))
        assert (await future, waiter.sequence) == (reply, 3)
    assert not caplog.records


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_service_refuses_none(name: str) -> None:
    data = COMMANDS[name].model_validate({"galleryId": GALLERY, **DATA.get(name, {})}, by_name=False)
    message = encode_command(CommandEnvelope("c", "s", name, data, None, "c", None))
    home = partition_of(message.key, PARTITIONS)
    sorted_records = sort_records([record(message, home)], PARTITIONS, "default")
    assert [command.envelope.name for command in sorted_records.commands] == [name]
    assert not sorted_records.refused
    assert not sorted_records.replies
