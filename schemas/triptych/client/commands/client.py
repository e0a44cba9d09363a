"""Owns `Commands`: a method for each command of the contract, over one connection to Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from triptych.client.commands.asking import ask
from triptych.client.commands.building import Options, SendOptions, build, encode, new_command_id
from triptych.client.commands.replies import Replies
from triptych.client.kafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    KafkaError,
    close_producer,
    connection,
    open_by,
)
from triptych.contract.codec.envelope import Message
from triptych.contract.commands import (
    ClearGallery,
    CommandData,
    CreateGallery,
    CreateItems,
    DeleteGallery,
    DeleteItems,
    MoveItem,
    MoveItems,
    RebalanceItems,
    RepublishGallery,
    RestoreGallery,
    UpdateGallery,
    UpdateItem,
)
from triptych.contract.gallery import GalleryPatch, NewGallery
from triptych.contract.identity import SITE_ID_FORM, is_site_id
from triptych.contract.item import ItemPatch, NewItem
from triptych.contract.replies import Reply
from triptych.contract.sizes import COMMAND_BYTES_MAX
from triptych.contract.topics import Topics, is_gateway_topic

DEADLINE_SECONDS = 30.0

Fields = Mapping[str, Any]
"""A model of the contract as a plain dictionary, with the names of the wire or those of Python."""


class Commands:
    """Sends commands and returns the replies to them, any number at the same time.

        async with Commands("127.0.0.1:9092", source="shop") as commands:
            reply = await commands.create_items(gallery_id, [NewItem(text=Text(html="<p>hi</p>"))])

    Each method returns the reply of an accepted command. It sends the command again, with the same id, until the reply
    is there or the deadline is over; a command id has one effect. Each method raises

    * `CommandRejected` if the command is refused. What the contract's models refuse is not sent at all.
    * `NoReply` if no reply is there by the deadline. The same call with the same `command_id` asks for it again.
    * `ValueError` if an argument breaks a rule that is not about the command's data, such as the form of a site id.

    Entering the block raises `KafkaUnavailable` if Kafka does not answer by the deadline, or has no topics of Triptych.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str,
        site_id: str = "default",
        deadline: float = DEADLINE_SECONDS,
        reply_topic: str | None = None,
        topic_prefix: str = "triptych.",
        **kafka: Any,
    ) -> None:
        """Nothing is connected before the block is entered.

        Args:
            bootstrap_servers: addresses of Kafka.
            source: the sender, 1 to 1,024 printable characters. It belongs to the identity of each command, so other
                sources may use the same command ids. Events carry it as `commandsource`.
            site_id: the site of commands that name no other one.
            deadline: seconds that entering the block and each command may take.
            reply_topic: an existing topic of your own for the replies. Without one, replies are read from
                `triptych.replies`, together with those to all other senders that have no topic of their own.
            topic_prefix: that of the installation.
            kafka: further arguments of aiokafka's clients, for TLS and authentication.
        """
        self._topics = Topics(topic_prefix)
        own = {self._topics.commands, self._topics.events, self._topics.galleries}
        if reply_topic is not None and (reply_topic in own or is_gateway_topic(reply_topic)):
            raise ValueError(f"{reply_topic} is a topic of Triptych, and not one for replies to producers")
        self._site_id = _checked_site(site_id)
        self._deadline = _checked_deadline(deadline)
        self._source = source
        self._reply_topic = None if reply_topic == self._topics.replies else reply_topic
        self._connection = connection(bootstrap_servers, kafka)
        self._producer: AIOKafkaProducer | None = None
        self._replies: Replies | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect, and read replies from now on: none to a later command can be missed. Raises KafkaUnavailable."""
        await open_by(self._deadline, self._connection["bootstrap_servers"], self._connect)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections. A call that still waits raises NoReply."""
        self._producer = self._replies = None
        await self._open.aclose()

    async def create_gallery(
        self,
        gallery: NewGallery | Fields | None = None,
        *,
        gallery_id: str | None = None,
        clone_from_gallery_id: str | None = None,
        **options: Unpack[Options],
    ) -> Reply:
        """Create a gallery, with up to 500 items or as a copy of another one. The reply has its id."""
        given = {"gallery": gallery, "gallery_id": gallery_id, "clone_from_gallery_id": clone_from_gallery_id}
        return await self._do(CreateGallery, given, options)

    async def clone_gallery(
        self, gallery_id: str, gallery: NewGallery | Fields | None = None, **options: Unpack[Options]
    ) -> Reply:
        """Copy a gallery with all its items; `gallery` may give the copy a name and a sort order of its own (D23)."""
        return await self.create_gallery(gallery, clone_from_gallery_id=gallery_id, **options)

    async def update_gallery(
        self, gallery_id: str, gallery: GalleryPatch | Fields, **options: Unpack[Options]
    ) -> Reply:
        """Change a gallery's name or sort order, and some of its items."""
        return await self._do(UpdateGallery, {"gallery_id": gallery_id, "gallery": gallery}, options)

    async def delete_gallery(self, gallery_id: str, **options: Unpack[Options]) -> Reply:
        """Delete a gallery and its items."""
        return await self._do(DeleteGallery, {"gallery_id": gallery_id}, options)

    async def clear_gallery(self, gallery_id: str, **options: Unpack[Options]) -> Reply:
        """Delete all items of a gallery."""
        return await self._do(ClearGallery, {"gallery_id": gallery_id}, options)

    async def rebalance_items(self, gallery_id: str, **options: Unpack[Options]) -> Reply:
        """Space the sort orders of all items evenly, in the same order."""
        return await self._do(RebalanceItems, {"gallery_id": gallery_id}, options)

    async def republish_gallery(self, gallery_id: str, **options: Unpack[Options]) -> Reply:
        """Have a gallery's state published again, for consumers that lost events."""
        return await self._do(RepublishGallery, {"gallery_id": gallery_id}, options)

    async def restore_gallery(
        self,
        gallery_id: str | None = None,
        *,
        sequence: int | None = None,
        time: datetime | None = None,
        from_gallery_id: str | None = None,
        **options: Unpack[Options],
    ) -> Reply:
        """Bring a gallery back to the state after an event, or at a time with an offset (D25).

        With `from_gallery_id`, a new gallery gets the former state of that one, which may be deleted. The reply has its
        id.
        """
        given = {"gallery_id": gallery_id, "sequence": sequence, "time": time, "from_gallery_id": from_gallery_id}
        return await self._do(RestoreGallery, given, options)

    async def create_items(
        self,
        gallery_id: str,
        items: Sequence[NewItem | Fields],
        *,
        to: Literal["start", "end"] | None = None,
        **options: Unpack[Options],
    ) -> Reply:
        """Create 1 to 500 items, shown in the order given. The reply has their ids.

        They are shown before the older ones, or after them with `to="end"`.
        """
        return await self._do(CreateItems, {"gallery_id": gallery_id, "items": list(items), "to": to}, options)

    async def update_item(
        self, gallery_id: str, item_id: str, item: ItemPatch | Fields, **options: Unpack[Options]
    ) -> Reply:
        """Change the fields of an item that are present; None clears a field."""
        return await self._do(UpdateItem, {"gallery_id": gallery_id, "item_id": item_id, "item": item}, options)

    async def move_item(
        self,
        gallery_id: str,
        item_id: str,
        *,
        before: str | None = None,
        after: str | None = None,
        to: Literal["start", "end"] | None = None,
        **options: Unpack[Options],
    ) -> Reply:
        """Move an item in display order. Exactly one of `before`, `after` (ids of items) and `to` is given."""
        target = {"before": before, "after": after, "to": to}
        return await self._do(MoveItem, {"gallery_id": gallery_id, "item_id": item_id, **target}, options)

    async def move_items(
        self,
        gallery_id: str,
        item_ids: Iterable[str],
        *,
        before: str | None = None,
        after: str | None = None,
        to: Literal["start", "end"] | None = None,
        **options: Unpack[Options],
    ) -> Reply:
        """Move 1 to 1,000 items in display order, as one block in the order given.

        Exactly one of `before`, `after` (ids of items that are not moved) and `to` is given.
        """
        target = {"before": before, "after": after, "to": to}
        return await self._do(MoveItems, {"gallery_id": gallery_id, "item_ids": list(item_ids), **target}, options)

    async def delete_items(self, gallery_id: str, item_ids: Iterable[str], **options: Unpack[Options]) -> Reply:
        """Delete 1 to 1,000 items; ids that are not in the gallery are skipped (D9)."""
        return await self._do(DeleteItems, {"gallery_id": gallery_id, "item_ids": list(item_ids)}, options)

    async def send(self, command: CommandData, **options: Unpack[SendOptions]) -> Reply:
        """Send a command that was built from its model."""
        if self._producer is None or self._replies is None:
            raise RuntimeError("Commands are sent within `async with Commands(...)`")
        deadline = _checked_deadline(options.get("deadline", self._deadline))
        command_id = options["command_id"] if "command_id" in options else new_command_id()
        correlation_id, message = encode(
            command,
            command_id=command_id,
            site_id=_checked_site(options.get("site_id", self._site_id)),
            source=self._source,
            reply_to=self._reply_topic,
            traceparent=options.get("traceparent"),
        )
        publishing = _Publishing(self._producer, self._replies, self._topics, message, self._reply_topic is not None)
        return await ask(self._replies, correlation_id, publishing.publish, command_id=command_id, deadline=deadline)

    async def _do(self, kind: type[Any], fields: Fields, options: Options) -> Reply:
        command_id = options["command_id"] if "command_id" in options else new_command_id()
        expected = options.get("expected_sequences")
        conditions = {
            "expected_sequence": options.get("expected_sequence"),
            "expected_sequences": None if expected is None else list(expected),
        }
        command = build(kind, command_id, {**fields, **conditions})
        sending = {name: value for name, value in options.items() if name not in conditions}
        return await self.send(command, **{**sending, "command_id": command_id})  # type: ignore[typeddict-item]

    async def _connect(self) -> None:
        """Raises KafkaError."""
        async with AsyncExitStack() as opened:
            replies = Replies(self._consumer)
            opened.push_async_callback(replies.close)
            await replies.read(self._reply_topic or self._topics.replies)
            producer = AIOKafkaProducer(
                **self._connection,
                # Not idempotent: a command that is on the topic twice has one effect. aiokafka has one request in
                # flight for each partition, which keeps the order. An idempotent producer fails for ever after a gap.
                acks="all",
                compression_type="gzip",
                max_request_size=COMMAND_BYTES_MAX + 1024 * 1024,
            )
            opened.push_async_callback(close_producer, producer)
            await producer.start()
            if self._topics.commands not in (await producer.client.fetch_all_metadata()).topics():
                raise KafkaError(f"topic {self._topics.commands} does not exist")
            self._producer, self._replies = producer, replies
            self._open = opened.pop_all()

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._connection,
            group_id=None,
            enable_auto_commit=False,
            # After offsets that do not exist any more: replies that nobody waits for are ignored.
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )


class _Publishing:
    """Publishes one command, any number of times."""

    def __init__(
        self, producer: AIOKafkaProducer, replies: Replies, topics: Topics, message: Message, reads_own_topic: bool
    ) -> None:
        self._producer = producer
        self._replies = replies
        self._topics = topics
        self._message = message
        self._reads_own_topic = reads_own_topic
        self._count = 0

    async def publish(self) -> None:
        """Return once Kafka has acknowledged the command. Raises KafkaError."""
        self._count += 1
        if self._count > 1 and self._reads_own_topic:
            # A reply that a topic does not take goes to the usual one (docs/producers.md, `replyto`).
            await self._replies.read(self._topics.replies)
        key, value, headers = self._message
        await self._producer.send_and_wait(self._topics.commands, value, key=key, headers=list(headers))


def _checked_site(site_id: str) -> str:
    if not is_site_id(site_id):
        raise ValueError(f"a site id has {SITE_ID_FORM}: {site_id!r}")
    return site_id


def _checked_deadline(deadline: float) -> float:
    if not 0 < deadline < float("inf"):
        raise ValueError(f"a deadline is a positive number of seconds, not {deadline}")
    return deadline
