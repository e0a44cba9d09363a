"""Every bad record has a named outcome, and the records around it are carried out."""

import random
import uuid

from aiokafka import AIOKafkaProducer

from tests.support.commands import TEXT, body, header, structured
from tests.support.installation import Installation
from tests.support.kafka import raw_producer, topic_reader
from tests.support.sender import Sender
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


REFUSED: dict[str, tuple[str, dict[str, object], str, list[str] | None]] = {
    "unknown": ("Nonsense", {}, "UNIMPLEMENTED", None),
    "no gallery": ("CreateItems", {"items": [TEXT]}, "INVALID_ARGUMENT", ["galleryId"]),
    "two media": (
        "CreateItems",
        {"galleryId": str(uuid.uuid4()), "items": [TWO_MEDIA]},
        "INVALID_ARGUMENT",
        ["items[0]"],
    ),
    "no items": ("CreateItems", {"galleryId": str(uuid.uuid4()), "items": []}, "INVALID_ARGUMENT", ["items"]),
    "not there": ("CreateItems", {"galleryId": str(uuid.uuid4()), "items": [TEXT]}, "NOT_FOUND", None),
    "one place": ("CreateGallery", {"gallery": {"items": [{**TEXT, "sortOrder": 1}] * 2}}, "ALREADY_EXISTS", None),
    "sequence": ("CreateGallery", {"expectedSequence": 4}, "SEQUENCE_CONFLICT", None),
}
"""Refused commands by id: name, data, and the code and fields of the answer (None: whatever fields)."""


async def test_refused_commands_are_answered_on_the_topic_they_name(installation: Installation) -> None:
    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    async with (
        compose(installation.settings(CommandSettings)),
        raw_producer(bootstrap) as producer,
        topic_reader(bootstrap, topics.replies) as replies,
    ):
        found: dict[str, tuple[str, str, list[str] | None]] = {}
        # One after the other: each is a batch of its own.
        for count, (command_id, (name, data, _, fields)) in enumerate(REFUSED.items(), 1):
            value = structured(name, data, id=command_id, replyto=topics.replies)
            await producer.send_and_wait(topics.commands, value)
            answers = [body(reply) for reply in await replies.read_count(count)]
            (answer,) = (one for one in answers if one["commandId"] == command_id)
            violations = None if fields is None else [one["field"] for one in answer["error"]["violations"]]
            found[command_id] = answer["outcome"], answer["error"]["code"], violations
    assert found == {key: ("rejected", code, fields) for key, (_, _, code, fields) in REFUSED.items()}
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


async def test_a_record_as_large_as_kafka_takes_is_dead_lettered_like_any_other(sender: Sender) -> None:
    topics = sender.installation.topics
    large = random.Random(1).randbytes(1024 * 1024 - 100)  # random, so that compression does not make it small
    producer = AIOKafkaProducer(
        bootstrap_servers=sender.installation.addresses.kafka_bootstrap, max_request_size=2 * 1024 * 1024
    )
    await producer.start()
    try:
        await producer.send_and_wait(topics.commands, large, partition=0)
    finally:
        await producer.stop()
    assert (await sender.send("CreateGallery", {}))["outcome"] == "accepted"
    bootstrap = sender.installation.addresses.kafka_bootstrap
    async with topic_reader(bootstrap, topics.dead_letter(topics.commands)) as letters:
        (letter,) = await letters.read_count(1)
    assert letter.value == large
