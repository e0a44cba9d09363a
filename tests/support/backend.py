"""Plays the command service and the projector: tests script the decisions; the records and views are real."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.support.installation import REPLY_TOPICS, Installation
from tests.support.kafka import raw_producer
from triptych.contract.codec.envelope import CommandEnvelope, Message, decode_command, encode_reply
from triptych.contract.codec.notices import Shown, encode_notice
from triptych.contract.replies import Reply
from triptych.kit.kafka.reading.tail import TopicTail, tail
from triptych.kit.process.settings import KitSettings
from triptych.readmodel.documents import GALLERY_VIEWS, ITEM_VIEWS, gallery_document, item_document

DEADLINE_SECONDS = 20
DATE = "2024-01-01T00:00:00.000Z"


def item(item_id: str, sort_order: float = 1) -> dict[str, Any]:
    """The wire form of an item."""
    return {
        "id": item_id,
        "sortOrder": sort_order,
        "type": "TEXT",
        "text": {"html": "x"},
        "createdDate": DATE,
        "updatedDate": DATE,
    }


class Backend:
    """The command service and the projector, played by the test."""

    def __init__(self, installation: Installation, consumer: TopicTail, producer: AIOKafkaProducer) -> None:
        self._database = installation.database
        self._topics = installation.topics
        self._consumer = consumer
        self._producer = producer

    async def next_command(self) -> CommandEnvelope:
        """The next command on the topic."""
        record = await asyncio.wait_for(self._consumer.getone(), DEADLINE_SECONDS)
        return decode_command(record.value, record.headers)

    async def answer(self, command: CommandEnvelope, reply: Reply) -> None:
        """Publish the reply to a command."""
        await self._send(command, encode_reply(reply, correlation_id=command.correlation_id, site_id=command.site_id))

    async def tell(self, command: CommandEnvelope, gallery_id: str, sequence: int, *items: dict[str, Any]) -> None:
        """Publish a notice, with items, to the gateway that has sent a command."""
        await self._send(command, encode_notice([Shown(command.site_id, gallery_id, sequence, items)]))

    async def _send(self, command: CommandEnvelope, message: Message) -> None:
        assert command.reply_to is not None
        assert command.reply_to in {self._topics.gateway_replies(number) for number in range(REPLY_TOPICS)}
        await self._producer.send_and_wait(
            command.reply_to, message.value, key=message.key, headers=list(message.headers)
        )

    async def accept(self, command: CommandEnvelope, gallery_id: str, sequence: int, *item_ids: str) -> None:
        """Publish the reply of an accepted command."""
        await self.answer(
            command,
            Reply(
                command_id=command.command_id,
                outcome="accepted",
                gallery_id=gallery_id,
                sequence=sequence,
                item_ids=list(item_ids),
            ),
        )

    async def store(
        self, gallery_id: str, sequence: int, items: Sequence[dict[str, Any]] = (), site_id: str = "default"
    ) -> None:
        """Write views without publishing records."""
        for wire in items:
            document = item_document(site_id, gallery_id, wire, sequence)
            await self._database[ITEM_VIEWS].replace_one({"_id": document["_id"]}, document, upsert=True)
        # The gallery is written last: a reader that sees its sequence also sees the items, as with the projector.
        gallery = {"id": gallery_id, "name": "N", "sortOrder": 1, "createdDate": DATE}
        document = gallery_document(site_id, gallery, total_items=len(items), sequence=sequence)
        await self._database[GALLERY_VIEWS].replace_one({"_id": gallery_id}, document, upsert=True)

    async def show(
        self, command: CommandEnvelope, gallery_id: str, sequence: int, items: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Write views and publish the notice to the gateway that has sent a command."""
        await self.store(gallery_id, sequence, items)
        await self.tell(command, gallery_id, sequence)


@asynccontextmanager
async def open_backend(installation: Installation) -> AsyncIterator[Backend]:
    """A backend that reads every command that is published from now on."""
    async with (
        tail(installation.settings(KitSettings), [installation.topics.commands]) as consumer,
        raw_producer(installation.addresses.kafka_bootstrap) as producer,
    ):
        yield Backend(installation, consumer, producer)
