"""What a caller of `Commands` gets: the command of each method, refusals, and errors without Kafka."""

import re
import time
from typing import Any

import pytest

from tests.support.contract_examples import GALLERY_ID, ITEM_ID
from triptych.client import CommandRejected, Commands, KafkaUnavailable
from triptych.client.commands.building import encode
from triptych.contract.codec.envelope import decode_command
from triptych.contract.commands import COMMANDS, CommandData, CreateGallery, DeleteGallery, UpdateItem, command_name
from triptych.contract.item import ItemPatch, NewItem
from triptych.contract.media import Text
from triptych.contract.replies import ErrorCode, Reply, Violation

ITEM: dict[str, Any] = {"text": {"html": "<p>hi</p>"}}


class Recorded(Commands):
    """Records what would be sent."""

    def __init__(self) -> None:
        super().__init__("nowhere:9092", source="tests")
        self.sent: list[tuple[CommandData, dict[str, Any]]] = []

    async def send(self, command: CommandData, **options: Any) -> Reply:
        self.sent.append((command, options))
        return Reply(command_id=options["command_id"], outcome="accepted")


async def test_each_command_of_the_contract_has_a_method_with_its_name() -> None:
    commands = Recorded()
    calls: dict[str, tuple[Any, ...]] = {
        "create_gallery": ({"name": "One"},),
        "update_gallery": (GALLERY_ID, {"name": "Two"}),
        "delete_gallery": (GALLERY_ID,),
        "clear_gallery": (GALLERY_ID,),
        "rebalance_items": (GALLERY_ID,),
        "republish_gallery": (GALLERY_ID,),
        "create_items": (GALLERY_ID, [ITEM, NewItem(text=Text(html="two"))]),
        "update_item": (GALLERY_ID, ITEM_ID, {"title": None}),
        "delete_items": (GALLERY_ID, [ITEM_ID]),
    }
    for name, arguments in calls.items():
        await getattr(commands, name)(*arguments, expected_sequence=4, command_id=name)
    await commands.restore_gallery(GALLERY_ID, sequence=3, expected_sequence=4, command_id="restore_gallery")
    await commands.move_item(GALLERY_ID, ITEM_ID, to="start", expected_sequence=4, command_id="move_item")
    await commands.move_items(GALLERY_ID, [ITEM_ID], to="end", expected_sequence=4, command_id="move_items")
    snake = {re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower() for name in COMMANDS}
    assert snake == {*calls, "move_item", "move_items", "restore_gallery"}
    for command, options in commands.sent:
        name = options["command_id"]
        assert command_name(command) == name.title().replace("_", "")
        assert command.expected_sequence == 4
        _, message = encode(command, command_id=name, site_id="red", source="tests", reply_to=None, traceparent=None)
        assert decode_command(message.value, message.headers).data == command


async def test_models_and_dictionaries_are_taken_as_they_are_and_none_clears_a_field() -> None:
    commands = Recorded()
    await commands.update_item(GALLERY_ID, ITEM_ID, ItemPatch(title=None), site_id="red", deadline=3)
    await commands.update_item(GALLERY_ID, ITEM_ID, {"sortOrder": 2, "description": None})
    await commands.clone_gallery(GALLERY_ID, {"name": None}, expected_sequences=range(2))
    (cleared, options), (described, _), (cloned, _) = commands.sent
    assert isinstance(cleared, UpdateItem)
    assert cleared.item.model_fields_set == {"title"}
    assert options["site_id"], options["deadline"] == ("red", 3)
    assert isinstance(described, UpdateItem)
    assert described.item.to_wire() == {"sortOrder": 2, "description": None}
    assert isinstance(cloned, CreateGallery)
    assert cloned.to_wire() == {
        "cloneFromGalleryId": GALLERY_ID,
        "gallery": {"items": [], "name": None},
        "expectedSequences": [0, 1],
    }


async def test_what_the_contract_refuses_is_refused_with_all_violations_and_not_sent() -> None:
    commands = Recorded()
    items = [ITEM, {"image": {"imageInfo": {"url": "data:x"}, "quality": 7}}]
    with pytest.raises(CommandRejected) as refused:
        await commands.create_items(GALLERY_ID, items, command_id="wrong")
    assert (refused.value.code, refused.value.command_id) == (ErrorCode.INVALID_ARGUMENT, "wrong")
    assert set(refused.value.violations) == {"items[1].image.imageInfo.url", "items[1].image.quality"}
    (violation,) = refused.value.violations["items[1].image.quality"]
    assert isinstance(violation, Violation)
    assert violation.data == {"threshold": 30}
    with pytest.raises(CommandRejected, match="galleryId must be a GUID"):
        await commands.delete_gallery("G")
    with pytest.raises(CommandRejected, match="exactly one of"):
        await commands.move_item(GALLERY_ID, ITEM_ID)
    assert commands.sent == []


def test_a_command_that_is_too_large_is_refused_as_the_service_would() -> None:
    item = NewItem(text=Text(html="x" * 100_000), title="y")
    command = COMMANDS["CreateItems"].model_validate({"gallery_id": GALLERY_ID, "items": [item] * 160})
    with pytest.raises(CommandRejected) as refused:
        encode(command, command_id="large", site_id="red", source="tests", reply_to=None, traceparent=None)
    assert [one.violated_rule for one in refused.value.violations[""]] == ["MAX_SIZE"]


def test_two_calls_with_one_id_have_replies_of_their_own() -> None:
    command = DeleteGallery(gallery_id=GALLERY_ID)
    encoded = [
        encode(command, command_id="1", site_id="red", source=source, reply_to=None, traceparent=None)
        for source in ("one", "other")
    ]
    (one, record), (other, _) = encoded
    assert one != other
    assert record.key == GALLERY_ID.encode()
    assert decode_command(record.value, record.headers).correlation_id.encode() == one


@pytest.mark.parametrize("command_id", ["", "x" * 256, "a\nb"])
def test_an_id_that_no_reply_could_name_is_refused(command_id: str) -> None:
    command = DeleteGallery(gallery_id=GALLERY_ID)
    with pytest.raises(ValueError, match="id"):
        encode(command, command_id=command_id, site_id="red", source="tests", reply_to=None, traceparent=None)


async def test_arguments_that_cannot_be_right_are_refused() -> None:
    for topic in ("triptych.commands", "triptych.events", "triptych.galleries", "triptych.replies.0"):
        with pytest.raises(ValueError, match="is a topic of Triptych"):
            Commands("nowhere:9092", source="tests", reply_topic=topic)
    with pytest.raises(ValueError, match="a site id has"):
        Commands("nowhere:9092", source="tests", site_id="a b")
    for deadline in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="a deadline is"):
            Commands("nowhere:9092", source="tests", deadline=deadline)
    with pytest.raises(RuntimeError, match="async with"):
        await Commands("nowhere:9092", source="tests").delete_gallery(GALLERY_ID)


async def test_an_unreachable_kafka_is_one_error_by_the_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(KafkaUnavailable, match=r"no answer of Kafka at 127.0.0.1:1 within 0.6 s: .*bootstrap"):
        async with Commands("127.0.0.1:1", source="tests", deadline=0.6):
            pytest.fail("there is no Kafka")
    assert time.monotonic() - started < 5
