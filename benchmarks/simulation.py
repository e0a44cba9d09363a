"""Plays commands on galleries in memory: generates the commands, the expected events and the resulting order."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NAMESPACE = uuid.UUID("7a1f5a52-58f0-4a0e-9d0c-6f0d3a1c2b4e")  # an arbitrary constant
_SEED = 4


@dataclass(eq=False, slots=True)
class SimulatedItem:
    """An item. An item that a command has created has no id here, because the service chooses the id."""

    title: str
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A command. `expected` is the field of the event's body, and the title (or the deleted id) in it."""

    gallery: int
    name: str
    data: dict[str, Any]
    expected: tuple[str, str]


@dataclass
class SimulatedGallery:
    """A gallery: its items in display order, and the items that commands can name."""

    number: int
    order: list[SimulatedItem]
    named: list[SimulatedItem] = field(default_factory=list)

    @property
    def gallery_id(self) -> str:
        """The id of the gallery, which is the same in every round."""
        return gallery_id(self.number)


def gallery_id(number: int) -> str:
    """The id of a gallery."""
    return made_id("gallery", number)


def made_id(kind: str, number: int) -> str:
    """A GUID that is the same in every round."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind} {number}"))


def new_gallery(number: int, items: int) -> SimulatedGallery:
    """A gallery with this number of items, which commands can name."""
    first = number * items
    order = [SimulatedItem(f"Item {index:06d}", made_id("item", index)) for index in range(first, first + items)]
    return SimulatedGallery(number, order, list(order))


def play(galleries: list[SimulatedGallery], commands: int, mix: Mapping[str, float]) -> list[Step]:
    """Change the galleries in turn by commands in these proportions. Consecutive commands have different galleries."""
    dice = random.Random(_SEED)
    names = dice.choices(list(mix), list(mix.values()), k=commands)
    return [_step(galleries[number % len(galleries)], name, number, dice) for number, name in enumerate(names)]


def _step(gallery: SimulatedGallery, name: str, number: int, dice: random.Random) -> Step:
    match name:
        case "CreateItems":
            created = SimulatedItem(f"Photo {number:06d}")
            gallery.order.insert(0, created)
            data: dict[str, Any] = {"items": [photo(number, created.title)]}
            expected = ("item", created.title)
        case "UpdateItem":
            item = dice.choice(gallery.named)
            item.title = f"Title {number:06d}"
            data = {"itemId": item.item_id, "item": {"title": item.title, "tags": {"values": ["dusk", "boats"]}}}
            expected = ("updatedItem", item.title)
        case "MoveItem":
            item, target = _move(gallery, dice)
            data = {"itemId": item.item_id, **target}
            expected = ("updatedItem", item.title)
        case "DeleteItems":
            item = dice.choice(gallery.named)
            gallery.named.remove(item)
            gallery.order.remove(item)
            data = {"itemIds": [item.item_id]}
            expected = ("itemId", item.item_id)
        case _:
            raise ValueError(name)
    return Step(gallery.number, name, {"galleryId": gallery.gallery_id, **data}, expected)


def _move(gallery: SimulatedGallery, dice: random.Random) -> tuple[SimulatedItem, dict[str, str]]:
    """Move an item to a new position, because a move to the present position causes no event."""
    while True:
        item, neighbour = dice.sample(gallery.named, 2)
        others = [other for other in gallery.order if other is not item]
        index = others.index(neighbour)
        position, target = dice.choice(
            (
                (index, {"before": neighbour.item_id}),
                (index + 1, {"after": neighbour.item_id}),
                (0, {"to": "start"}),
                (len(others), {"to": "end"}),
            )
        )
        others.insert(position, item)
        if others != gallery.order:
            gallery.order = others
            return item, target


def photo(number: int, title: str) -> dict[str, Any]:
    """The content of an item, about 600 bytes as JSON."""
    media_id = f"{uuid.uuid5(_NAMESPACE, f'media {number}').hex}~mv2.jpg"
    return {
        "title": title,
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
