"""Generates random commands for a few galleries: valid ones of every kind, mixed with every kind of bad record."""

import json
import random
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from tests.support.commands import SOURCE, TEXT, structured
from triptych.contract.identity import derived_gallery_id, derived_item_id
from triptych.kit.kafka.partitions import partition_of

SITE = "default"
REPEATED = 5_000
"""Commands that may be sent again: the last ones, so that a long run needs no more memory."""
SORT_ORDERS = [0.0, -1.5, 2.0, 2.0000000000000004, 1e300, -1e300]


class Sent(NamedTuple):
    """A record before it is published; `gallery_id` determines its partition."""

    gallery_id: str
    command_id: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    def as_binary(self) -> "Sent":
        """The same command in binary mode, if its body can be read as a structured event."""
        try:
            body = json.loads(self.value)
        except ValueError:
            return self
        if not isinstance(body, dict) or "data" not in body:
            return self
        value = json.dumps(body.pop("data")).encode()
        headers = tuple((f"ce_{name}", text.encode()) for name, text in body.items() if isinstance(text, str))
        return self._replace(value=value, headers=headers)


@dataclass
class CommandMix:
    """A source of commands that depends on its seed only.

    Attributes:
        chance: the source of randomness.
        name: a part of every id, so that two mixes have no ids in common.
        most_items: the most items in one command.
        trouble: the fraction of records that are broken, repeated, conflicting, or about something that does not exist.
        site: the site of the commands.
        weights: how often each kind of command is chosen.
    """

    chance: random.Random
    name: str
    gallery_count: int = 3
    most_items: int = 4
    trouble: float = 0.35
    site: str = SITE
    weights: dict[str, int] = field(
        default_factory=lambda: {
            "CreateGallery": 3,
            "CloneGallery": 2,
            "UpdateGallery": 4,
            "DeleteGallery": 1,
            "CreateItems": 8,
            "UpdateItem": 6,
            "MoveItem": 8,
            "MoveItems": 3,
            "DeleteItems": 3,
            "ClearGallery": 1,
            "RebalanceItems": 1,
            "RepublishGallery": 1,
            "RestoreGallery": 1,
        }
    )

    def __post_init__(self) -> None:
        self.galleries = [self._guid() for _ in range(self.gallery_count)]
        self._items: dict[str, list[str]] = {gallery: [] for gallery in self.galleries}
        self._sent: deque[Sent] = deque(maxlen=REPEATED)
        self._number = 0
        self._created = 0

    def batch(self, size: int) -> list[Sent]:
        """The next records."""
        return [self._next() for _ in range(size)]

    def _next(self) -> Sent:
        chance = self.chance
        if self._sent and chance.random() < self.trouble / 4:
            return chance.choice(self._sent)
        if chance.random() < self.trouble / 4:
            return self._broken()
        self._number += 1
        sent = self._command(f"{self.name}-{self._number}")
        self._sent.append(sent)
        return sent

    def _command(self, command_id: str) -> Sent:
        chance = self.chance
        kind = chance.choices(list(self.weights), list(self.weights.values()))[0]
        gallery_id = chance.choice(self.galleries)
        if self._created < self.gallery_count:
            gallery_id, kind = self.galleries[self._created], "CreateGallery"
            self._created += 1
        data: dict[str, Any] = {"galleryId": gallery_id}
        known = self._items[gallery_id]
        match kind:
            case "CreateGallery" | "CloneGallery":
                data, gallery_id = self._creation(kind, command_id, gallery_id)
            case "UpdateGallery":
                data["gallery"] = self._head(self._entries(known) if chance.random() < 0.6 else None)
                known += [derived_item_id(self.site, command_id, index, SOURCE) for index in range(4)]
            case "CreateItems":
                items = self._new_items(1)
                data["items"] = items
                if chance.random() < 0.3:
                    data["to"] = chance.choice(["start", "end"])
                known += [derived_item_id(self.site, command_id, index, SOURCE) for index in range(len(items))]
            case "UpdateItem":
                data |= {"itemId": self._item(known), "item": self._patch()}
            case "MoveItem":
                data |= {"itemId": self._item(known), **self._target(known)}
            case "MoveItems":
                block = [self._item(known) for _ in range(chance.randint(1, self.most_items))]
                data |= {"itemIds": list(dict.fromkeys(block)), **self._target(known)}
            case "DeleteItems":
                count = chance.randint(1, self.most_items)
                data["itemIds"] = [self._item(known) for _ in range(count)]
            case "RestoreGallery":
                data["sequence"] = chance.randint(1, 12)
            case _:
                pass
        if chance.random() < self.trouble / 5:
            data["expectedSequence"] = chance.randint(0, 12)
        name = "CreateGallery" if kind == "CloneGallery" else kind
        # The default site is not named, which commands need not do.
        site = {} if self.site == SITE else {"siteid": self.site}
        return Sent(gallery_id, command_id, structured(name, data, id=command_id, **site))

    def _creation(self, kind: str, command_id: str, gallery_id: str) -> tuple[dict[str, Any], str]:
        data: dict[str, Any] = {"galleryId": gallery_id}
        if self._items[gallery_id] and self.chance.random() < 0.7:
            del data["galleryId"]
            gallery_id = derived_gallery_id(self.site, command_id, SOURCE)
        if kind == "CloneGallery":
            source = self.chance.choice(self.galleries)
            data |= {"cloneFromGalleryId": source, "gallery": self._head(None)}
            count = len(self._items[source])
        else:
            items = self._new_items(0)
            data["gallery"] = self._head(items)
            count = len(items)
        self._items[gallery_id] = [
            derived_item_id(self.site, command_id, index, SOURCE) for index in range(max(count, 1))
        ]
        if gallery_id not in self.galleries:
            # The new gallery replaces another one, so that many commands concern the same few galleries.
            self.galleries[self.chance.randrange(len(self.galleries))] = gallery_id
        return data, gallery_id

    def _broken(self) -> Sent:
        gallery_id = self.chance.choice(self.galleries)
        self._number += 1
        command_id = f"{self.name}-{self._number}"
        data: dict[str, Any] = {"galleryId": gallery_id}
        nowhere = {**TEXT, "sortOrder": "NaN"}
        clone = {"cloneFromGalleryId": gallery_id, "gallery": {"items": [TEXT]}}
        value = self.chance.choice(
            [
                b'{"specversion":',
                b"\xff\x00",
                structured("Nonsense", data, id=command_id),
                structured("CreateItems", {**data, "items": []}, id=command_id),
                structured("CreateItems", {**data, "items": [{"title": 7}, nowhere]}, id=command_id),
                structured("UpdateItem", {**data, "itemId": "no guid", "item": {}}, id=command_id),
                structured("MoveItem", {**data, "itemId": self._guid(), "to": "start", "before": "x"}, id=command_id),
                structured("CreateGallery", clone, id=command_id),
            ]
        )
        return Sent(gallery_id, command_id, value)

    def _head(self, items: list[dict[str, Any]] | None) -> dict[str, Any]:
        head: dict[str, Any] = {}
        if self.chance.random() < 0.5:
            head["name"] = self.chance.choice(["a", "b", None])
        if self.chance.random() < 0.3:
            head["sortOrder"] = self.chance.choice(SORT_ORDERS)
        if items is not None:
            head["items"] = items
        return head

    def _new_items(self, least: int) -> list[dict[str, Any]]:
        chance = self.chance
        items = [{**TEXT, "title": f"t{chance.randrange(1000)}"} for _ in range(chance.randint(least, self.most_items))]
        for item in chance.sample(items, min(len(items), 2)):
            if chance.random() < self.trouble:
                item["sortOrder"] = chance.choice(SORT_ORDERS)
        return items

    def _entries(self, known: list[str]) -> list[dict[str, Any]]:
        entries = []
        for entry in self._new_items(0)[:4]:
            if self.chance.random() < 0.5:
                entry["id"] = self._item(known)
                if self.chance.random() < 0.3:
                    del entry["text"]
            entries.append(entry)
        return entries

    def _patch(self) -> dict[str, Any]:
        patch: dict[str, Any] = {"title": self.chance.choice(["x", "y", None])}
        if self.chance.random() < self.trouble:
            patch["sortOrder"] = self.chance.choice([*SORT_ORDERS, None])
        if self.chance.random() < 0.2:
            patch["video"] = {"videoInfo": {"url": "https://vimeo.com/1"}}
        return patch

    def _target(self, known: list[str]) -> dict[str, str]:
        match self.chance.choice(["before", "after", "start", "end"]):
            case "start" | "end" as end:
                return {"to": end}
            case side:
                return {side: self._item(known)}

    def _item(self, known: list[str]) -> str:
        return self.chance.choice(known) if known and self.chance.random() > self.trouble / 4 else self._guid()

    def _guid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))


def received(topic: str, sent: list[Sent], partitions: int, first_offset: int = 0) -> list[ConsumerRecord[Any, Any]]:
    """The records as a consumer receives them, each from its gallery's partition."""
    return [
        ConsumerRecord(
            topic=topic,
            partition=partition_of(one.gallery_id.encode(), partitions),
            offset=offset,
            timestamp=0,
            timestamp_type=0,
            key=one.gallery_id.encode(),
            value=one.value,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            headers=one.headers,
        )
        for offset, one in enumerate(sent, first_offset)
    ]
