"""Every bad record has a named outcome, and the records around it are carried out."""

import uuid

import pytest

from tests.support.commands import TEXT, body, header, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.kit.mongo.fencing import count_documents

TWO_MEDIA = {"text": {"html": "x"}, "video": {"videoInfo": {"url": "https://vimeo.com/1"}}}


async def test_unreadable_records_go_to_the_dead_letters_and_neighbours_are_served(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    unreadable = {
        "broken JSON": (b'{"specversion":', [], "NOT_JSON"),
        "no JSON at all": (b"\xff\xfe\x00", [], "NOT_UTF8"),
        "not a CloudEvent": (b'{"name":"x"}', [], "NOT_A_CLOUDEVENT"),
        "a header that is not UTF-8": (b"{}", [("ce_specversion", b"\xff")], "NOT_UTF8"),
        "a tombstone": (None, [], "TOMBSTONE"),
        "no id": (
            b'{"specversion":"1.0","type":"triptych.command.v1.CreateGallery","data":{}}',
            [],
            "MISSING_ATTRIBUTE",
        ),
    }
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
        topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters,
    ):
        for value, headers, _ in unreadable.values():
            await producer.send_and_wait(topics.commands, value, key=b"k", headers=headers, partition=0)
        await producer.send_and_wait(topics.commands, structured("CreateGallery", {}, id="after"), partition=0)
        (reply,) = await replies.read_count(1)
        assert body(reply)["commandId"] == "after"
        dead_lettered = await letters.read_count(len(unreadable))
        assert [(letter.value, header(letter, "dead-letter-reason")) for letter in dead_lettered] == [
            (value, reason) for value, _, reason in unreadable.values()
        ]
        assert [header(letter, "dead-letter-origin") for letter in dead_lettered] == [
            f"{topics.commands}-0@{offset}" for offset in range(len(unreadable))
        ]
        assert {letter.key for letter in dead_lettered} == {b"k"}


@pytest.mark.parametrize(
    ("name", "data", "code", "field"),
    [
        ("Nonsense", {}, "UNIMPLEMENTED", None),
        ("CreateItems", {"items": [TEXT]}, "INVALID_ARGUMENT", "galleryId"),
        ("CreateItems", {"galleryId": str(uuid.uuid4()), "items": [TWO_MEDIA]}, "INVALID_ARGUMENT", "items[0]"),
        ("CreateItems", {"galleryId": str(uuid.uuid4()), "items": []}, "INVALID_ARGUMENT", "items"),
        ("CreateItems", {"galleryId": str(uuid.uuid4()), "items": [TEXT]}, "NOT_FOUND", None),
        ("CreateGallery", {"gallery": {"items": [{**TEXT, "sortOrder": 1}] * 2}}, "ALREADY_EXISTS", None),
        ("CreateGallery", {"expectedSequence": 4}, "SEQUENCE_CONFLICT", None),
    ],
)
async def test_a_refused_command_is_answered_on_the_topic_it_names(
    installation: Installation, name: str, data: dict[str, object], code: str, field: str | None
) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
    ):
        await producer.send_and_wait(topics.commands, structured(name, data, id="bad", replyto=topics.replies))
        (reply,) = await replies.read_count(1)
        answer = body(reply)
        assert (answer["commandId"], answer["outcome"], answer["error"]["code"]) == ("bad", "rejected", code)
        if field is not None:
            assert [violation["field"] for violation in answer["error"]["violations"]] == [field]
    assert await count_documents(installation.database["galleries"]) == 0


async def test_one_conflicting_command_does_not_harm_its_batch(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    gallery_id = str(uuid.uuid4())
    key = gallery_id.encode()
    taken = {**TEXT, "sortOrder": 7}
    async with raw_producer(bootstrap) as producer:
        sends = [structured("CreateGallery", {"galleryId": gallery_id, "gallery": {"items": [taken]}}, id="c")]
        for position in range(20):
            item = taken if position == 10 else TEXT
            sends.append(structured("CreateItems", {"galleryId": gallery_id, "items": [item]}, id=f"i{position}"))
        for value in sends:
            await producer.send_and_wait(topics.commands, value, key=key)
    async with (
        compose(installation.settings(CommandSettings)),
        topic_reader(bootstrap, topics.replies) as replies,
    ):
        answers = {body(reply)["commandId"]: body(reply) for reply in await replies.read_count(21)}
    refused = answers.pop("i10")
    assert {answer["outcome"] for answer in answers.values()} == {"accepted"}
    assert refused["error"]["code"] == "ALREADY_EXISTS"
    assert refused["error"]["data"]["itemId"] == answers["c"]["itemIds"][0]
    head = await installation.database["galleries"].find_one({"_id": gallery_id})
    assert head is not None
    assert (head["totalItems"], head["sequence"]) == (20, 21)
