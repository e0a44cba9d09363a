"""Judges what is shown at the end (I4, I5): HTTP and the joined topic show what the events say, and nothing deleted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.chaos.history import Event, History, Joined, State, Violation
from tests.support.chaos.judging.events import firsts
from triptych.kit.kafka.partitions import partition_of

REPEATED_FIELDS = ("id", "name", "sortOrder", "createdDate")
HEAD_FIELDS = (*REPEATED_FIELDS, "totalItems")


@dataclass
class Folded:
    """A gallery as its events say it is."""

    sequence: int = 0
    head: dict[str, Any] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_deleted: bool = False
    heads: list[dict[str, Any]] = field(default_factory=list)
    """What item records may repeat: the gallery as it was at some time (docs/consumers.md)."""

    def shown(self) -> list[dict[str, Any]]:
        """The items in display order."""
        return sorted(self.items.values(), key=lambda item: -float(item["sortOrder"]))


def folded(events: list[Event]) -> Folded:
    """The state after these events of one gallery, in any order."""
    made = Folded()
    for event in sorted(events, key=lambda event: event.sequence):
        made.sequence = event.sequence
        value = event.value
        body = value.get("actionEvent", {}).get("body", {})
        if "createdEvent" in value:
            made.head = value["createdEvent"]["entity"]
        elif "updatedEvent" in value:
            made.head = value["updatedEvent"]["currentEntity"]
        elif "deletedEvent" in value:
            made.is_deleted = True
            made.items.clear()
        elif "itemId" in body:
            made.items.pop(body["itemId"], None)
        else:
            item = body.get("item") or body["updatedItem"]
            made.items[item["id"]] = item
        if "createdEvent" in value or "updatedEvent" in value:
            made.heads.append({name: made.head.get(name) for name in REPEATED_FIELDS})
    return made


def check(history: History) -> Iterator[Violation]:
    """Violations of I4 and I5 in what HTTP and the joined topic show at the end."""
    known = {gallery: folded(events) for gallery, events in firsts(history.events).items()}
    last: dict[str, Joined] = {}
    for record in history.joined:
        last[record.key] = record
        gallery = record.key.partition("/")[0]
        if record.partition != partition_of(gallery.encode(), history.partitions):
            yield Violation(
                "I4", f"a joined record {record.key} on a wrong partition", gallery, records=(record.place,)
            )
    for gallery, expected in known.items():
        yield from _over_http(gallery, expected, history.states.get(gallery))
        yield from _joined(gallery, expected, last)
    for key, record in last.items():
        gallery, _, item = key.partition("/")
        found = known.get(gallery)
        if record.value is None:
            continue
        if found is None or found.is_deleted or (item and item not in found.items):
            what = f"the joined topic still has {key}, which does not exist"
            yield Violation("I5", what, gallery, None if found is None else found.sequence, (record.place,))
    for gallery, state in history.states.items():
        if gallery not in known and state.gallery is not None:
            yield Violation("I4", "HTTP shows a gallery without events:", gallery)


def _over_http(gallery: str, expected: Folded, state: State | None) -> Iterator[Violation]:
    if state is None:
        yield Violation("I4", "nobody asked HTTP for it:", gallery, expected.sequence)
    elif expected.is_deleted:
        if state.gallery is not None:
            yield Violation("I5", "HTTP shows a deleted gallery:", gallery, expected.sequence)
    elif state.gallery is None:
        yield Violation("I4", "HTTP does not show the gallery:", gallery, expected.sequence)
    else:
        yield from _head("HTTP", gallery, expected, state.gallery)
        shown = {item["id"]: item for item in state.items}
        for item in shown.keys() - expected.items.keys():
            yield Violation("I5", f"HTTP shows the item {item}, which does not exist:", gallery, expected.sequence)
        for item in expected.items.keys() - shown.keys():
            yield Violation("I4", f"HTTP does not show the item {item}:", gallery, expected.sequence)
        for item in shown.keys() & expected.items.keys():
            if shown[item] != expected.items[item]:
                yield Violation("I4", f"HTTP shows the item {item} as it was not left:", gallery, expected.sequence)
        if shown.keys() == expected.items.keys() and list(shown) != [item["id"] for item in expected.shown()]:
            yield Violation("I4", "HTTP shows the items in another order:", gallery, expected.sequence)


def _head(who: str, gallery: str, expected: Folded, shown: dict[str, Any], *records: str) -> Iterator[Violation]:
    wanted = {**expected.head, "totalItems": len(expected.items)}
    for name in HEAD_FIELDS:
        if shown.get(name) != wanted.get(name):
            what = f"{who} shows {name} {shown.get(name)!r} instead of {wanted.get(name)!r}:"
            yield Violation("I4", what, gallery, expected.sequence, records)


def _joined(gallery: str, expected: Folded, last: dict[str, Joined]) -> Iterator[Violation]:
    if expected.is_deleted:
        return
    head = last.get(gallery)
    if head is None or head.value is None:
        places = (head.place,) if head else ()
        yield Violation("I4", "the joined topic has no head record:", gallery, expected.sequence, places)
        return
    if head.value["sequence"] != expected.sequence:
        what = f"the head record is outdated: it has {head.value['sequence']}, not"
        yield Violation("I4", what, gallery, expected.sequence, (head.place,))
    else:
        yield from _head("the head record", gallery, expected, head.value["gallery"], head.place)
        items = head.value["items"]
        is_complete = head.value["itemsTruncated"] or len(items) == min(100, len(expected.items))
        if not is_complete or items != expected.shown()[: len(items)]:
            yield Violation("I4", "the head record has other items:", gallery, expected.sequence, (head.place,))
    for item_id, item in expected.items.items():
        record = last.get(f"{gallery}/{item_id}")
        if record is None or record.value is None:
            places = (record.place,) if record else ()
            yield Violation("I4", f"no joined record of the item {item_id}:", gallery, expected.sequence, places)
        elif record.value["item"] != item:
            what = f"the joined record of the item {item_id} is outdated:"
            yield Violation("I4", what, gallery, expected.sequence, (record.place,))
        elif {name: record.value["gallery"].get(name) for name in REPEATED_FIELDS} not in expected.heads:
            what = f"the joined record of the item {item_id} has a gallery that never was:"
            yield Violation("I4", what, gallery, expected.sequence, (record.place,))
