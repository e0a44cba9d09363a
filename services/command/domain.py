"""What commands do to galleries: state in, change out, without I/O, clocks or chance of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.base import format_instant
from schemas.events import gallery_created, item_created
from schemas.identity import derived_item_id
from schemas.item import NewItem
from schemas.replies import ErrorCode, ReplyError
from services.command.sort_orders import first_repeated, places_above, places_of_new_list


class Rejected(Exception):
    """A rule of the contract refuses the command; nothing happens but the reply."""

    def __init__(self, code: ErrorCode, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = ReplyError(code=code, message=message, data=data)


@dataclass(frozen=True, slots=True)
class GalleryHead:
    """A gallery without its items.

    `sequence` is that of its last event. `last_default` is the highest sort order a clock has given to an item, and
    `highest` the highest that any item ever had: a default above both cannot be taken, so nothing has to be read.
    """

    gallery_id: str
    site_id: str
    name: str | None
    sort_order: float
    created_date: str
    total_items: int
    sequence: int
    last_default: float
    highest: float

    def to_wire(self) -> dict[str, Any]:
        """The Gallery of the wire contract, section 3.1, without items."""
        wire: dict[str, Any] = {"id": self.gallery_id}
        if self.name is not None:
            wire["name"] = self.name
        wire["totalItems"] = self.total_items
        wire["sortOrder"] = int(self.sort_order) if self.sort_order.is_integer() else self.sort_order
        wire["createdDate"] = self.created_date
        return wire


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item and its place; `body` is the Item of the wire contract, section 3.2, as JSON-ready dict."""

    item_id: str
    gallery_id: str
    site_id: str
    sort_order: float
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a command brings along: where it belongs, when it is carried out, and where event ids come from."""

    site_id: str
    command_id: str
    at: datetime
    new_event_id: Callable[[], str]

    @property
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.at.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Change:
    """What an accepted command did: the head afterwards, the items it added, and its events in order of sequence."""

    head: GalleryHead
    created: tuple[StoredItem, ...]
    events: tuple[dict[str, Any], ...]


def create_gallery(
    gallery_id: str,
    name: str | None,
    sort_order: float,
    items: Sequence[NewItem],
    origin: Origin,
) -> Change:
    """A new gallery with its items, in one step (wire contract, section 2.2).

    Raises:
        Rejected: two items ask for the same sort order (section 4, rule 4).
    """
    places = places_of_new_list([item.sort_order for item in items], origin.now_ms)
    _refuse_repeated(places, "gallery.items")
    head = GalleryHead(
        gallery_id=gallery_id,
        site_id=origin.site_id,
        name=name,
        sort_order=sort_order,
        created_date=format_instant(origin.at),
        total_items=len(items),
        sequence=1 + len(items),
        last_default=float(origin.now_ms),
        highest=max(places, default=float("-inf")),
    )
    created = _new_items(head, items, places, origin)
    event = gallery_created(origin.new_event_id(), gallery_id, 1, origin.at, head.to_wire())
    return Change(head, created, (event, *_item_events(created, 2, origin)))


def create_items(
    head: GalleryHead,
    items: Sequence[NewItem],
    taken: Mapping[float, str],
    origin: Origin,
) -> Change:
    """Items added to a gallery, shown in the order given and before the older ones unless they say otherwise.

    Args:
        head: the gallery.
        items: 1 to 500.
        taken: item ids by sort order; complete for the values asked for and, if the head's `highest` reaches up to
            them, for the defaults.
        origin: of the command.

    Raises:
        Rejected: a sort order is taken, by an item of the gallery or of this call (section 4, rules 3 and 4).
    """
    base = default_base(head, origin.now_ms)
    places = places_above([item.sort_order for item in items], base, taken)
    for position, place in enumerate(places):
        if place in taken:
            raise Rejected(
                ErrorCode.ALREADY_EXISTS,
                "sortOrder is taken by another item of the gallery",
                itemId=taken[place],
                sortOrder=place,
                field=f"items[{position}].sortOrder",
            )
    _refuse_repeated(places, "items")
    defaults = [place for item, place in zip(items, places, strict=True) if item.sort_order is None]
    after = replace(
        head,
        total_items=head.total_items + len(items),
        sequence=head.sequence + len(items),
        last_default=max(defaults, default=head.last_default),
        highest=max(head.highest, *places),
    )
    created = _new_items(head, items, places, origin)
    return Change(after, created, tuple(_item_events(created, head.sequence + 1, origin)))


def default_base(head: GalleryHead, now_ms: int) -> float:
    """The lowest sort order that a default may get now; clocks repeat and go back, defaults do not."""
    return max(float(now_ms), head.last_default + 1)


def _refuse_repeated(places: Sequence[float], field: str) -> None:
    position = first_repeated(places)
    if position is not None:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is given to two items of the same call",
            sortOrder=places[position],
            field=f"{field}[{position}].sortOrder",
        )


def _new_items(
    head: GalleryHead, items: Sequence[NewItem], places: Sequence[float], origin: Origin
) -> tuple[StoredItem, ...]:
    date = format_instant(origin.at)
    created = []
    for position, (item, place) in enumerate(zip(items, places, strict=True)):
        item_id = derived_item_id(origin.site_id, origin.command_id, position)
        content = item.to_wire()
        content.pop("sortOrder", None)
        body = {
            "id": item_id,
            "sortOrder": int(place) if place.is_integer() else place,
            **content,
            "type": "IMAGE" if "image" in content else "VIDEO" if "video" in content else "TEXT",
            "createdDate": date,
            "updatedDate": date,
        }
        created.append(StoredItem(item_id, head.gallery_id, head.site_id, place, body))
    return tuple(created)


def _item_events(items: Sequence[StoredItem], first_sequence: int, origin: Origin) -> list[dict[str, Any]]:
    return [
        item_created(origin.new_event_id(), item.gallery_id, sequence, origin.at, item.body)
        for sequence, item in enumerate(items, first_sequence)
    ]
