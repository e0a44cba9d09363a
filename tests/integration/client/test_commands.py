"""`Commands` on real servers: every command, repeats, lost replies, and topics of replies."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.installation import Installation
from tests.support.product import running_command_service
from triptych.client import CommandRejected, Commands, KafkaUnavailable, NoReply, create_many
from triptych.client.commands import asking
from triptych.client.commands.replies import Replies
from triptych.contract.item import NewItem
from triptych.contract.media import Text
from triptych.contract.replies import ErrorCode

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("client-commands")]

ITEM = NewItem(text=Text(html="<p>hi</p>"))


def connect(installation: Installation, **options: object) -> Commands:
    fields: dict[str, object] = {"source": "tests", "topic_prefix": installation.topics.prefix, **options}
    return Commands(installation.addresses.kafka_bootstrap, **fields)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def commands(served: Installation) -> AsyncIterator[Commands]:
    async with connect(served) as opened:
        yield opened


async def test_every_command_is_carried_out(commands: Commands) -> None:
    created = await commands.create_gallery({"name": "One", "items": [ITEM]}, site_id="red")
    gallery_id, first = str(created.gallery_id), str((created.item_ids or [])[0])
    reply = await commands.create_items(gallery_id, [ITEM, {"text": {"html": "two"}}], site_id="red")
    assert reply.gallery_id == gallery_id
    second, _ = reply.item_ids or []
    steps = [
        commands.update_gallery(gallery_id, {"name": "Two"}, site_id="red"),
        commands.update_item(gallery_id, first, {"title": "first"}, site_id="red"),
        commands.move_item(gallery_id, first, to="start", site_id="red"),
        commands.move_items(gallery_id, [first, second], to="end", site_id="red"),
        commands.delete_items(gallery_id, [second, str(uuid.uuid4())], site_id="red"),
        commands.rebalance_items(gallery_id, site_id="red"),
        commands.republish_gallery(gallery_id, site_id="red"),
    ]
    sequences = [reply.sequence or 0, *[(await step).sequence or 0 for step in steps]]
    assert all(sequences)
    assert sequences == sorted(sequences)
    copy = await commands.clone_gallery(gallery_id, {"name": "Copy"}, site_id="red")
    assert copy.gallery_id != gallery_id
    assert (await commands.clear_gallery(gallery_id, site_id="red")).outcome == "accepted"
    assert (await commands.delete_gallery(gallery_id, site_id="red")).outcome == "accepted"
    with pytest.raises(CommandRejected) as gone:
        await commands.delete_gallery(gallery_id, site_id="red")
    assert gone.value.code == ErrorCode.NOT_FOUND


async def test_many_items_are_shown_in_their_order_and_created_once(served: Installation, commands: Commands) -> None:
    gallery_id = str((await commands.create_gallery({"items": [ITEM]})).gallery_id)
    items = [{"title": str(number), "text": {"html": "x"}} for number in range(1_100)]
    for _ in range(2):
        replies = [reply async for reply in create_many(commands, gallery_id, items, command_id="import")]
        assert [len(reply.item_ids or []) for reply in replies] == [500, 500, 100]
    found = served.database["items"].find({"galleryId": gallery_id}).sort("sortOrder", -1)
    assert [item["item"].get("title") async for item in found] == [None, *map(str, range(1_100))]


async def test_another_site_is_another_tenant(commands: Commands) -> None:
    created = await commands.create_gallery(site_id="red")
    with pytest.raises(CommandRejected) as strange:
        await commands.delete_gallery(str(created.gallery_id))
    assert strange.value.code == ErrorCode.NOT_FOUND


async def test_one_id_has_one_effect_and_one_reply_and_belongs_to_its_source(
    commands: Commands, served: Installation
) -> None:
    once, again = await asyncio.gather(*(commands.create_gallery(command_id="the same") for _ in range(2)))
    assert once == again
    with pytest.raises(CommandRejected) as used:
        await commands.create_gallery({"name": "Other"}, command_id="the same")
    assert used.value.code == ErrorCode.IDEMPOTENCY_KEY_REUSED
    async with connect(served, source="others") as others:
        assert (await others.create_gallery(command_id="the same")).gallery_id != once.gallery_id


async def test_a_condition_is_checked_and_the_refusal_has_the_sequence(commands: Commands) -> None:
    gallery_id = str((await commands.create_gallery()).gallery_id)
    with pytest.raises(CommandRejected) as conflict:
        await commands.update_gallery(gallery_id, {"name": "x"}, expected_sequence=7)
    assert (conflict.value.code, conflict.value.data["sequence"]) == (ErrorCode.SEQUENCE_CONFLICT, 1)
    assert (await commands.update_gallery(gallery_id, {"name": "x"}, expected_sequences=[7, 1])).sequence == 2


async def test_many_calls_at_once_each_get_their_own_reply(commands: Commands) -> None:
    ids = [str(uuid.uuid4()) for _ in range(100)]
    replies = await asyncio.gather(*(commands.create_gallery(gallery_id=one) for one in ids))
    assert [reply.gallery_id for reply in replies] == ids


async def test_a_lost_reply_is_asked_for_again_and_the_command_has_one_effect(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_RETRY_SECONDS", 0.5)
    receive = Replies._receive
    lost: list[bytes] = []

    def lose_one(self: Replies, key: bytes | None, value: bytes | None) -> None:
        if key is not None and key in self._waiting and not lost:
            lost.append(key)
        else:
            receive(self, key, value)

    monkeypatch.setattr(Replies, "_receive", lose_one)
    gallery_id = str(uuid.uuid4())
    assert (await commands.create_gallery(gallery_id=gallery_id)).sequence == 1
    assert lost
    assert (await commands.update_gallery(gallery_id, {"name": "x"})).sequence == 2


async def test_replies_are_read_before_the_first_command(shared: Installation, served: Installation) -> None:
    """The command is on the topic before a reader could begin, and its reply is not missed."""
    for _ in range(3):
        async with connect(served) as opened:
            assert (await opened.create_gallery(deadline=20)).outcome == "accepted"


async def test_a_command_that_is_too_large_for_the_topic_is_refused(commands: Commands) -> None:
    noise = [NewItem(text=Text(html="".join(str(uuid.uuid4()) for _ in range(2700)))) for _ in range(30)]
    gallery_id = str((await commands.create_gallery()).gallery_id)
    with pytest.raises(CommandRejected) as refused:
        await commands.create_items(gallery_id, noise, deadline=60)
    assert [one.violated_rule for one in refused.value.violations[""]] == ["MAX_SIZE"]
    compressible = [NewItem(text=Text(html="x" * 90_000))] * 30
    assert len((await commands.create_items(gallery_id, compressible, deadline=60)).item_ids or ()) == 30


@asynccontextmanager
async def own_topic(installation: Installation, **config: str) -> AsyncIterator[str]:
    name = f"{installation.name}-own-{uuid.uuid4().hex[:6]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.addresses.kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def test_replies_come_on_a_topic_of_ones_own(served: Installation) -> None:
    async with own_topic(served) as topic, connect(served, reply_topic=topic) as opened:
        assert (await opened.create_gallery()).outcome == "accepted"
        assert opened._replies is not None
        assert opened._replies._topics == {topic}


async def test_a_reply_that_the_own_topic_does_not_take_is_found_on_the_usual_one(
    served: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "FIRST_RETRY_SECONDS", 3.0)
    async with own_topic(served, **{"max.message.bytes": "1"}) as topic, connect(served, reply_topic=topic) as opened:
        assert (await opened.create_gallery()).sequence == 1


async def test_missing_topics_are_one_error_by_the_deadline(shared: Installation) -> None:
    with pytest.raises(KafkaUnavailable, match="topic no-such-topic does not exist"):
        async with connect(shared, reply_topic="no-such-topic", deadline=1.5):
            pytest.fail("there is no such topic")
    with pytest.raises(KafkaUnavailable, match=r"topic elsewhere\.replies does not exist"):
        async with connect(shared, topic_prefix="elsewhere.", deadline=1.5):
            pytest.fail("there is no such topic")


async def test_without_a_service_there_is_no_reply_and_a_later_call_gets_it(installation: Installation) -> None:
    async with connect(installation) as opened:
        with pytest.raises(NoReply, match="is the command service running") as none:
            await opened.create_gallery(deadline=0.5, command_id="early")
        assert none.value.acknowledged
        waiting = asyncio.create_task(opened.create_gallery({"name": "late"}, deadline=60))
        async with running_command_service(installation):
            assert (await waiting).outcome == "accepted"
            early = await opened.create_gallery(command_id=none.value.command_id, deadline=60)
            assert (early.command_id, early.sequence) == ("early", 1)
