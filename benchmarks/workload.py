"""Generates galleries and commands, and checks events and write model. They are the same in every round."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import orjson
from aiokafka import ConsumerRecord

from benchmarks.simulation import SimulatedGallery, Step, gallery_id, made_id, new_gallery, photo, play
from triptych.command.domain.state import GalleryHead, StoredItem
from triptych.command.store.documents import head_document, item_document
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.kit.mongo.driver import Document

GALLERIES = 1_000

EventRecord: TypeAlias = ConsumerRecord[Any, Any]
Ends: TypeAlias = dict[str, tuple[int, int, list[str]]]
"""The sequence, the number of items and their titles in display order, by gallery."""

_DATE = "2025-01-01T00:00:00.000Z"
# Below any clock, and far enough apart for many moves.
_FIRST_SORT_ORDER, _DISTANCE = 1_600_000_000_000.0, 1_000.0


class WrongEvents(Exception):
    """The events or the write model do not match the commands. The message has the first difference."""


@dataclass(frozen=True)
class Workload:
    """`commands` commands in the proportions of `mix`, one event each, on galleries of `items` items each."""

    commands: int
    mix: Mapping[str, float] = field(default_factory=lambda: {"CreateItems": 1})
    items: int = 0
    galleries: int = GALLERIES

    @cached_property
    def _played(self) -> tuple[list[Step], list[SimulatedGallery]]:
        galleries = self.stored()
        return play(galleries, self.commands, self.mix), galleries

    def stored(self) -> list[SimulatedGallery]:
        """The galleries before the commands."""
        return [new_gallery(number, self.items) for number in range(self.galleries)]

    def records(self, topic: str) -> list[OutgoingRecord]:
        """The commands as a producer publishes them."""
        steps, _ = self._played
        return [command_record(topic, step.name, step.data, made_id("command", n)) for n, step in enumerate(steps)]

    def check(self, events: Iterable[EventRecord]) -> None:
        """Check events that come in order per gallery: one for each command, sequences 2, 3, ... in each gallery.

        Raises:
            WrongEvents: an event is missing, surplus, out of order, or not that of its command.
        """
        expected: dict[str, list[tuple[str, str]]] = {gallery_id(number): [] for number in range(self.galleries)}
        steps, _ = self._played
        for step in steps:
            expected[step.data["galleryId"]].append(step.expected)
        seen = dict.fromkeys(expected, 0)
        for record in events:
            event = orjson.loads(record.value)
            of_gallery = event["entityId"]
            if record.key != of_gallery.encode() or of_gallery not in seen:
                raise WrongEvents(f"an event of gallery {of_gallery} has the key {record.key!r}")
            position = seen[of_gallery]
            seen[of_gallery] += 1
            ((kind, content),) = event["actionEvent"]["body"].items()
            found = (event["entityEventSequence"], kind, content if kind == "itemId" else content["title"])
            wanted = (str(position + 2), *(expected[of_gallery][position : position + 1] or [("nothing", "")])[0])
            if found != wanted:
                raise WrongEvents(f"gallery {of_gallery}: expected {wanted}, found {found}")
        # The events are in order and match their commands, so their number shows whether all are there.
        if (count := sum(seen.values())) != self.commands:
            raise WrongEvents(f"{self.commands} commands made {count} events")

    def check_ends(self, ends: Ends) -> None:
        """Check the final state of the write model. A service that publishes without storing is fast and wrong.

        Raises:
            WrongEvents: a gallery has other items, another order or another sequence than its commands lead to.
        """
        steps, galleries = self._played
        sequences = dict.fromkeys((gallery.gallery_id for gallery in galleries), 1)
        for step in steps:
            sequences[step.data["galleryId"]] += 1
        for gallery in galleries:
            wanted = (sequences[gallery.gallery_id], len(gallery.order), [item.title for item in gallery.order])
            if ends.get(gallery.gallery_id) != wanted:
                raise WrongEvents(
                    f"gallery {gallery.gallery_id}: expected {wanted}, stored {ends.get(gallery.gallery_id)}"
                )


def head_of(gallery: SimulatedGallery) -> Document:
    """A gallery as the write model stores it, at sequence 1."""
    head = GalleryHead(
        gallery_id=gallery.gallery_id,
        site_id="default",
        name=f"Gallery {gallery.number}",
        sort_order=float(gallery.number),
        created_date=_DATE,
        total_items=len(gallery.order),
        sequence=1,
        last_default=0.0,
        highest=_FIRST_SORT_ORDER,
    )
    return {"_id": gallery.gallery_id, **head_document(head)}


def items_of(gallery: SimulatedGallery) -> Iterator[Document]:
    """A new gallery's items as the write model stores them."""
    for index, item in enumerate(gallery.order):
        sort_order = _FIRST_SORT_ORDER - index * _DISTANCE
        body = {
            **photo(index, item.title),
            "id": item.item_id,
            "sortOrder": int(sort_order),
            "type": "IMAGE",
            "createdDate": _DATE,
            "updatedDate": _DATE,
        }
        yield item_document(StoredItem(item.item_id, gallery.gallery_id, "default", sort_order, body))


def command_record(topic: str, name: str, data: Mapping[str, Any], command_id: str) -> OutgoingRecord:
    """A command in binary mode, keyed by its gallery (contract, section 11)."""
    of_gallery: str = data["galleryId"]
    headers = {
        "ce_specversion": "1.0",
        "ce_id": command_id,
        "ce_type": f"triptych.command.v1.{name}",
        "ce_source": "benchmarks",
        "ce_subject": of_gallery,
        "ce_siteid": "default",
        "ce_correlationid": command_id,
        "content-type": "application/json",
    }
    return OutgoingRecord(
        topic,
        of_gallery.encode(),
        orjson.dumps(data),
        tuple((header, value.encode()) for header, value in headers.items()),
    )
