"""A small good history for the judge: two sites, a gallery that stays and one that is deleted."""

from typing import Any

from tests.support import histories
from tests.support.chaos.history import (
    Answer,
    Command,
    Delivery,
    Event,
    Fault,
    ForeignRead,
    History,
    Joined,
    Memory,
    Recovery,
    State,
)
from triptych.kit.kafka.partitions import partition_of

PARTITIONS = 3
STAYS, GONE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def good_history() -> tuple[History, histories.History]:
    """A history without violations, and the gallery that stays: created, three items, one updated, one deleted."""
    stays = histories.History(STAYS, site_id="a").create()
    items = [stays.add_item(order, f"33333333-3333-4333-8333-33333333333{order}") for order in (1, 2, 3)]
    stays.update_item(items[0], title="x").delete_item(items[1])
    gone = histories.History(GONE, site_id="b").create()
    gone.add_item(1)
    gone.delete()
    made = History(partitions=PARTITIONS, listening=frozenset({"a", "b"}), memory_limit=1 << 20)
    causes = [
        (0, stays, ["create", "items", "items", "items", "update", "remove"]),
        (100, gone, ["b1", "b2", "b3", "b3"]),
    ]
    for first, gallery, names in causes:
        partition = partition_of(gallery.gallery_id.encode(), PARTITIONS)
        for number, (wire, cause) in enumerate(zip(gallery.wire, names, strict=True), first):
            event = Event(partition, number, gallery.gallery_id, gallery.site_id, cause, wire)
            made.events.append(event)
            made.outcomes[event.id] = "delivered"
            content = {name: value for name, value in wire.items() if name != "eventType"}
            made.deliveries.append(Delivery(gallery.site_id, event.id, content, has_succeeded=True))
        made.sequences[gallery.gallery_id] = len(gallery.wire)
    made.commands += [
        Command("create", "CreateGallery", "a", STAYS, 0, is_acknowledged=True),
        Command("items", "CreateItems", "a", STAYS, 3, is_acknowledged=True),
        Command("update", "UpdateItem", "a", STAYS, None, is_acknowledged=True),
        Command("remove", "DeleteItems", "a", STAYS, None, is_acknowledged=False),
        Command("b1", "CreateGallery", "b", GONE, 0, is_acknowledged=True),
        Command("b2", "CreateItems", "b", GONE, 1, is_acknowledged=True),
        Command("b3", "DeleteGallery", "b", GONE, None, is_acknowledged=True),
        Command("refused", "UpdateItem", "b", GONE, None, is_acknowledged=True),
    ]
    sequences = {"create": 1, "items": 4, "update": 5, "remove": 6, "b1": 1, "b2": 2, "b3": 4}
    for command in made.commands:
        content = {"commandId": command.id, "outcome": "accepted", "galleryId": command.gallery}
        if command.id == "refused":
            content |= {"outcome": "rejected", "error": {"code": "NOT_FOUND"}}
        else:
            content["sequence"] = sequences[command.id]
        made.answers.append(Answer(command.id, "topic", f"replies[0]@{len(made.answers)}", content))
    made.answers.append(Answer("items", "http", "POST", {"outcome": "accepted", "galleryId": STAYS}))
    made.joined += joined_records(stays)
    made.joined.append(Joined(partition_of(GONE.encode(), PARTITIONS), 0, GONE, None))
    made.states = {STAYS: State({**stays.head(), "items": []}, tuple(stays.shown_items())), GONE: State(None)}
    made.foreign_reads.append(ForeignRead("b", 404, ()))
    made.memory.append(Memory("command-1", 1 << 19))
    made.faults.append(Fault("SIGKILL", "command", Recovery(0.5, 0.7, 0.5, 0.8)))
    return made, stays


def joined_records(gallery: histories.History) -> list[Joined]:
    """The joined records of a gallery's present state."""
    head = {name: value for name, value in gallery.head().items() if name != "totalItems"}
    values: list[tuple[str, dict[str, Any]]] = [
        (f"{gallery.gallery_id}/{item_id}", {"sequence": 1, "gallery": head, "item": item})
        for item_id, item in gallery.items.items()
    ]
    value = {"sequence": len(gallery.wire), "gallery": gallery.head(), "items": gallery.shown_items()}
    values.append((gallery.gallery_id, {**value, "itemsTruncated": False}))
    partition = partition_of(gallery.gallery_id.encode(), PARTITIONS)
    return [Joined(partition, 10 + number, key, value) for number, (key, value) in enumerate(values)]
