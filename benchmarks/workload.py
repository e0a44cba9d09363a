"""Galleries, create-items commands for them, and what their events have to be; the same in every round."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from aiokafka import ConsumerRecord

from services.kit.mongo import Document
from services.kit.publisher import Record

GALLERIES = 1_000

EventRecord: TypeAlias = ConsumerRecord[Any, Any]
_NAMESPACE = uuid.UUID("7a1f5a52-58f0-4a0e-9d0c-6f0d3a1c2b4e")  # any


class WrongEvents(Exception):
    """The events are not those of the commands; the message tells the first difference."""


@dataclass(frozen=True)
class Workload:
    """`commands` commands of one image each, going round the galleries, so that neighbours never share one."""

    commands: int

    def heads(self) -> list[Document]:
        """The galleries as the write model stores them, empty, at sequence 1."""
        return [
            {
                "_id": _gallery_id(number),
                "siteId": "default",
                "name": f"Gallery {number}",
                "sortOrder": float(number),
                "createdDate": "2025-01-01T00:00:00.000Z",
                "totalItems": 0,
                "sequence": 1,
                "lastDefault": 0.0,
                "highest": 0.0,
            }
            for number in range(GALLERIES)
        ]

    def records(self, topic: str) -> list[Record]:
        """The commands as a producer publishes them: binary mode, keyed by gallery (design, section 3)."""
        return [_record(topic, number) for number in range(self.commands)]

    def check(self, events: Iterable[EventRecord]) -> None:
        """Check events that come in order per gallery: one for each command, sequences 2, 3, ... in each gallery.

        Raises:
            WrongEvents: one is missing, too many, out of order, or not that of its command.
        """
        seen = dict.fromkeys((_gallery_id(number) for number in range(GALLERIES)), 0)
        numbers = {gallery_id: number for number, gallery_id in enumerate(seen)}
        for record in events:
            event = orjson.loads(record.value)
            gallery_id = event["entityId"]
            if record.key != gallery_id.encode() or gallery_id not in seen:
                raise WrongEvents(f"an event of gallery {gallery_id} has the key {record.key!r}")
            of_command = seen[gallery_id] * GALLERIES + numbers[gallery_id]
            seen[gallery_id] += 1
            expected = (str(seen[gallery_id] + 1), _title(of_command))
            found = (event["entityEventSequence"], event["actionEvent"]["body"]["item"]["title"])
            if found != expected:
                raise WrongEvents(f"gallery {gallery_id}: expected {expected}, found {found}")
        # In order and of the right commands so far, so their number tells whether all are there.
        if (count := sum(seen.values())) != self.commands:
            raise WrongEvents(f"{self.commands} commands made {count} events")


def _gallery_id(number: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"gallery {number}"))


def _title(number: int) -> str:
    return f"Photo {number:06d}"


def _record(topic: str, number: int) -> Record:
    gallery_id = _gallery_id(number % GALLERIES)
    command_id = str(uuid.uuid5(_NAMESPACE, f"command {number}"))
    media_id = f"{uuid.uuid5(_NAMESPACE, f'media {number}').hex}~mv2.jpg"
    item = {
        "title": _title(number),
        "description": "Morning light over the harbour, taken from the north pier just after the fog had lifted.",
        "link": {"text": "Order a print", "url": f"https://example.com/prints/{number}"},
        "image": {
            "imageInfo": {
                "id": media_id,
                "url": f"https://static.wixstatic.com/media/{media_id}",
                "height": 3024,
                "width": 4032,
                "altText": "Fishing boats in a harbour",
                "filename": f"harbour-{number}.jpg",
            },
            "focalPoint": {"x": 0.5, "y": 0.375},
            "quality": 90,
        },
        "tags": {"values": ["harbour", "morning", "boats"]},
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": command_id,
        "ce_type": "triptych.command.v1.CreateItems",
        "ce_source": "benchmarks",
        "ce_subject": gallery_id,
        "ce_siteid": "default",
        "ce_correlationid": command_id,
        "content-type": "application/json",
    }
    return Record(
        topic,
        gallery_id.encode(),
        orjson.dumps({"galleryId": gallery_id, "items": [item]}),
        tuple((name, value.encode()) for name, value in headers.items()),
    )
