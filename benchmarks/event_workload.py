"""Generates events of galleries, and checks views and join against them. The events are the same in every round."""

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from benchmarks.scenario import PARTITIONS, RoundFailed
from triptych.contract.codec import events
from triptych.contract.joined import HEAD_ITEMS_MAX, gallery_key, item_key
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.kit.mongo.driver import Document

MIX = {"updated": 70, "created": 20, "moved": 8, "deleted": 2}
AT = datetime(2026, 1, 1, tzinfo=UTC)
_CREATED = "2026-01-01T00:00:00.000Z"
_HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_source", b"triptych/command"),
    ("ce_siteid", b"default"),
    ("content-type", b"application/json"),
)


@dataclass
class GalleryState:
    """A gallery after the events generated so far."""

    gallery_id: str
    head: dict[str, Any]
    sequence: int = 1
    items: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """Sequence and wire form by id."""

    def first_items(self) -> list[dict[str, Any]]:
        """The items of the head record."""
        return sorted((item for _, item in self.items.values()), key=lambda item: -item["sortOrder"])[:HEAD_ITEMS_MAX]


class EventWorkload:
    """Generates events of galleries and tracks their states. Each gallery is created with `filled` items."""

    def __init__(self, galleries: int, filled: int = 0, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._sort_order = 1_700_000_000_000
        self.galleries = [self._gallery(number) for number in range(galleries)]
        self._filled = filled

    def beginnings(self) -> Iterator[OutgoingRecord]:
        """The creation of all galleries with their first items."""
        for gallery in self.galleries:
            yield self._record(gallery, events.gallery_created, {**gallery.head, "totalItems": self._filled})
            for _ in range(self._filled):
                yield self._item_event("created", gallery)

    def changes(self, count: int, mix: Mapping[str, int] = MIX) -> Iterator[OutgoingRecord]:
        """This many item events, each of a random gallery."""
        for kind in self._random.choices(list(mix), weights=list(mix.values()), k=count):
            yield self._item_event(kind, self._random.choice(self.galleries))

    def check_views(self, heads: Mapping[str, Document], items: Mapping[str, Document]) -> None:
        """Compare the states with the documents of the views, by id. Raises RoundFailed."""
        expected = {
            item_id: (gallery.gallery_id, sequence, item)
            for gallery in self.galleries
            for item_id, (sequence, item) in gallery.items.items()
        }
        found = {
            id_: (document["galleryId"], document["sequence"], document["item"]) for id_, document in items.items()
        }
        if found != expected:
            raise RoundFailed(f"the views have {len(found)} items, not the {len(expected)} expected ones")
        for gallery in self.galleries:
            head = heads[gallery.gallery_id]
            if (head["sequence"], head["totalItems"]) != (gallery.sequence, len(gallery.items)):
                raise RoundFailed(f"the view of {gallery.gallery_id} is at {head['sequence']}, not {gallery.sequence}")

    def check_join(self, latest: Mapping[bytes, bytes | None]) -> None:
        """Compare the states with the last value of each key of the joined topic. Raises RoundFailed."""
        records = {key: orjson.loads(value) for key, value in latest.items() if value is not None}
        expected_keys = set()
        for gallery in self.galleries:
            head = records[gallery_key(gallery.gallery_id)]
            expected_keys.add(gallery_key(gallery.gallery_id))
            if (head["sequence"], head["items"]) != (gallery.sequence, gallery.first_items()):
                raise RoundFailed(f"the head record of {gallery.gallery_id} is wrong")
            for item_id, (sequence, item) in gallery.items.items():
                key = item_key(gallery.gallery_id, item_id)
                expected_keys.add(key)
                if (records[key]["sequence"], records[key]["item"]) != (sequence, item):
                    raise RoundFailed(f"the record of item {item_id} is wrong")
        if records.keys() != expected_keys:
            raise RoundFailed("the joined topic has records of deleted items or galleries")

    def _gallery(self, number: int) -> GalleryState:
        gallery_id = self._id()
        head = {"id": gallery_id, "name": f"Gallery {number}", "sortOrder": float(number), "createdDate": _CREATED}
        return GalleryState(gallery_id, head, sequence=0)

    def _item_event(self, kind: str, gallery: GalleryState) -> OutgoingRecord:
        if kind == "created" or not gallery.items:
            item_id = self._id()
            self._sort_order += 1
            return self._set(gallery, events.item_created, item_id, float(self._sort_order))
        item_id = self._random.choice(list(gallery.items))
        if kind == "deleted":
            del gallery.items[item_id]
            return self._record(gallery, events.item_deleted, item_id)
        sort_order = gallery.items[item_id][1]["sortOrder"]
        if kind == "moved":
            sort_order -= 1_000_000 * self._random.random()
        return self._set(gallery, events.item_updated, item_id, sort_order)

    def _set(self, gallery: GalleryState, build: Any, item_id: str, sort_order: float) -> OutgoingRecord:
        number = self._random.randrange(1_000_000)
        media = f"{number:06d}_{item_id[:8]}~mv2.jpg"
        item = {
            "id": item_id,
            "sortOrder": sort_order,
            "title": f"Evening over the harbour, plate {number}",
            "type": "IMAGE",
            "image": {"imageInfo": {"id": media, "url": f"https://example.com/{media}", "width": 4000, "height": 2667}},
            "tags": {"values": ["harbour", "dusk"]},
            "createdDate": _CREATED,
            "updatedDate": _CREATED,
        }
        record = self._record(gallery, build, item)
        gallery.items[item_id] = gallery.sequence, item
        return record

    def _record(self, gallery: GalleryState, build: Any, content: Any) -> OutgoingRecord:
        gallery.sequence += 1
        event = build(self._id(), gallery.gallery_id, gallery.sequence, AT, content)
        key = gallery.gallery_id.encode()
        return OutgoingRecord("", key, orjson.dumps(event), _HEADERS, partition_of(key, PARTITIONS))

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
