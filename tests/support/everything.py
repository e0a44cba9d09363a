"""Generates records of every kind that a broker accepts: valid, unusual and broken commands, and broken events."""

import random
import uuid
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from tests.support.command_mix import CommandMix, Sent
from tests.support.commands import TEXT, structured
from triptych.contract.limits import EVENT_BYTES_MAX
from triptych.contract.sizes import COMMAND_BYTES_MAX
from triptych.kit.kafka.partitions import partition_of

Codec: TypeAlias = Literal["none", "gzip", "lz4", "snappy", "zstd"]
CODECS: tuple[Codec, ...] = ("none", "gzip", "lz4", "snappy", "zstd")
Transaction: TypeAlias = Literal["none", "committed", "aborted"]
Header: TypeAlias = tuple[str, bytes | None]
LONG = 1_200
"""Items of a gallery that is large enough for long-running work."""


class Offered(NamedTuple):
    """A record to publish.

    Attributes:
        topic: the topic, by its role.
        partition: the partition, which may be the wrong one.
        key, value: those of the record.
        headers: names with bytes that are not UTF-8 are written with surrogates.
        codec: the compression of its batch.
        transaction: the kind of transaction that the record belongs to.
        command_id: the id for which a reply is expected; without one, a dead letter is expected.
    """

    topic: Literal["commands", "events"]
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    codec: Codec = "none"
    transaction: Transaction = "none"
    command_id: str | None = None


@dataclass
class Everything:
    """Records from a seed; records of one gallery keep their order if they are on the same partition."""

    chance: random.Random
    partitions: int

    def records(self, count: int) -> list[Offered]:
        """About `count` records of all kinds, mixed."""
        mix = CommandMix(self.chance, "mix", gallery_count=40)
        found = [self._command(sent) for sent in mix.batch(count)]
        odd = [*self._broken_commands(), *self._broken_events(), *self._huge()]
        odd += [self._in_transaction(index) for index in range(30)]
        for one in odd:
            found.insert(self.chance.randrange(len(found)), one)
        return [*found, *self._long_work()]

    def _command(self, sent: Sent) -> Offered:
        """A command of the mix, in one of the forms that a command may have."""
        chance = self.chance
        headers: tuple[Header, ...] = ()
        value, key = sent.value, sent.gallery_id.encode()
        is_event = value.startswith(b'{"specversion"') and value.endswith(b"}")
        if is_event and chance.random() < 0.4:
            _, _, value, headers = sent.as_binary()
        if chance.random() < 0.15:
            headers = (*headers, *chance.sample(self._odd_headers(), 3))
        partition = partition_of(key, self.partitions)
        # A later command may overtake a forwarded one, which does not matter here: each gets its reply.
        if chance.random() < 0.1:
            partition = chance.randrange(self.partitions)
        if chance.random() < 0.05:
            value = value + b" " * chance.randrange(500_000) if is_event else value
        return Offered(
            "commands",
            partition,
            None if chance.random() < 0.05 else key,
            value,
            headers,
            chance.choice(CODECS),
            command_id=sent.command_id if is_event else None,
        )

    def _odd_headers(self) -> list[Header]:
        names: list[Header] = [
            ("empty", b""),
            ("null", None),
            ("", b"no name"),
            ("not-utf-8", b"\xff\xfe"),
            ("größe", b"x"),
            ("x" * 1_000, b"long name"),
            ("long", b"x" * 100_000),
            ("twice", b"1"),
            ("twice", b"2"),
            ("traceparent", b"nonsense"),
            ("dead-letter-origin", b"somewhere"),
        ]
        return [*names, ("gr\udcf6\udcdfe", b"1"), ("\udcff", None)]

    def _broken_commands(self) -> list[Offered]:
        gallery_id = self._guid()
        values: list[tuple[bytes | None, tuple[Header, ...]]] = [
            (None, ()),
            (b"", ()),
            (b"\xff\x00\x01", ()),
            (b"[" * 100_000, ()),
            (b'{"specversion":"1.0"', ()),
            (b'{"specversion":"1.0","type":"triptych.command.v1.CreateGallery","data":{}}', ()),
            (b'"text"', (("ce_specversion", b"1.0"),)),
            (b"{}", (("ce_specversion", b"\xff"),)),
            (b"{}", (("ce_specversion", None), ("content-type", b"application/cloudevents+json"))),
        ]
        made = [
            Offered(
                "commands", self.chance.randrange(self.partitions), f"broken-{number}".encode(), value, headers, codec
            )
            for number, (value, headers) in enumerate(values)
            for codec in CODECS
        ]
        long = {"galleryId": gallery_id, "items": [{"text": {"html": "x", "css": {"k" * 300_000: 1}}}]}
        answered = {
            "long-name": structured("CreateItems", long, id="long-name"),
            "nonsense": structured("Nonsense", {}, id="nonsense"),
            "bad-version": structured("CreateGallery", {}, id="bad-version").replace(b'"1.0"', b'"9.9"'),
            "bad-time": structured("MoveItem", {"galleryId": gallery_id}, id="bad-time"),
        }
        for command_id, value in answered.items():
            made.append(Offered("commands", 0, None, value, (), "gzip", command_id=command_id))
        return made

    def _broken_events(self) -> list[Offered]:
        event = {
            "eventType": "wix.pro_gallery.gallery_v2_gallery_created",
            "entityId": self._guid(),
            "id": self._guid(),
        }
        values: list[bytes | None] = [
            None,
            b"",
            b"\xff",
            b"[]",
            b"[" * 100_000,
            orjson.dumps(event),
            orjson.dumps({**event, "entityEventSequence": "99999999999999999999999"}),
            orjson.dumps({**event, "eventType": "unknown", "entityEventSequence": "1"}),
            b" " * EVENT_BYTES_MAX + orjson.dumps(event),
        ]
        return [
            Offered("events", self.chance.randrange(self.partitions), f"event-{number}".encode(), value, headers, codec)
            for number, value in enumerate(values)
            for codec in CODECS
            for headers in (self._event_headers(),)
        ]

    def _event_headers(self) -> tuple[Header, ...]:
        return (("ce_siteid", b"default"), *self.chance.sample(self._odd_headers(), 2))

    def _huge(self) -> list[Offered]:
        """Larger than a command may be, but compressed far below the limit of the topic."""
        pad = b" " * COMMAND_BYTES_MAX
        value = structured("CreateGallery", {}, id="huge")
        return [
            Offered("commands", 0, b"huge", value + pad, (), "gzip", command_id="huge"),
            Offered("commands", 0, b"huge", b"{" + 2 * pad, (), "zstd"),
        ]

    def _in_transaction(self, index: int) -> Offered:
        kind: Transaction = "aborted" if index % 2 else "committed"
        gallery_id, command_id = self._guid(), f"{kind}-{index}"
        value = structured("CreateGallery", {"galleryId": gallery_id}, id=command_id)
        partition = partition_of(gallery_id.encode(), self.partitions)
        return Offered("commands", partition, gallery_id.encode(), value, (), "lz4", kind, command_id)

    def _long_work(self) -> list[Offered]:
        """Galleries with more items than one transaction handles, long-running work on them, and commands that wait."""
        made = []
        for name in ("ClearGallery", "RebalanceItems", "RepublishGallery", "RestoreGallery", "DeleteGallery", "Clone"):
            gallery_id = self._guid()
            commands: list[tuple[str, dict[str, Any]]] = [("CreateGallery", {"gallery": {"name": name}})]
            commands += [("CreateItems", {"items": [TEXT] * (LONG // 3)})] * 3
            if name == "Clone":
                commands.append(("CreateGallery", {"galleryId": self._guid(), "cloneFromGalleryId": gallery_id}))
            else:
                commands.append((name, {"sequence": 1} if name == "RestoreGallery" else {}))
            commands += [("CreateItems", {"items": [TEXT]}), ("UpdateGallery", {"gallery": {"name": "after"}})]
            for number, (kind, data) in enumerate(commands):
                command_id = f"long-{name}-{number}"
                headers = (("null", None), ("not-utf-8", b"\xff"))
                value = structured(kind, {"galleryId": gallery_id, **data}, id=command_id)
                key = gallery_id.encode()
                partition = partition_of(str({"galleryId": gallery_id, **data}["galleryId"]).encode(), self.partitions)
                made.append(Offered("commands", partition, key, value, headers, "zstd", command_id=command_id))
        return made

    def _guid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
