"""Runs the decisions of the domain without a database, on a unit of work that has everything loaded."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from triptych.command.domain.decide import decide
from triptych.command.domain.state import NeedsMoreLoaded, StoredItem
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, ReceivedRecord, UnitOfWork
from triptych.contract.codec.envelope import CommandEnvelope, gallery_id_of
from triptych.contract.commands import COMMANDS
from triptych.contract.replies import Reply

START = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "site"


class World:
    """All galleries of one site, in memory; nothing ever has to be loaded."""

    def __init__(self) -> None:
        self.unit = UnitOfWork()
        self.now = START
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count()
        self._next_sort_order = int(START.timestamp() * 1000)

    def send(self, name: str, data: dict[str, Any], command_id: str | None = None, source: str | None = None) -> Reply:
        """Decide one command; AssertionError if the decision is not a reply."""
        command_id = command_id or f"command-{next(self._numbers)}"
        model = COMMANDS[name].model_validate(data)
        envelope = CommandEnvelope(command_id, SITE, name, model, None, command_id, None, source)
        command = ReceivedCommand(0, gallery_id_of(envelope), envelope, ReceivedRecord("", 0, 0, None, b"", ()))
        sort_orders = self.unit.reserved_sort_orders.setdefault(SITE, [])
        if not sort_orders:
            self._next_sort_order += 1
            sort_orders.append(float(self._next_sort_order))
        earlier = len(self.unit.changes)
        while True:
            try:
                reply = decide(command, self.unit, self.now, self._event_id)
                break
            except NeedsMoreLoaded as unloaded:
                self.unit.neighbours_known[CommandKey.of(envelope)] = unloaded.neighbours
        assert reply is not None, f"{name} did not end"
        for _, change, _ in self.unit.changes[earlier:]:
            self.events += change.events
        return reply

    def order(self, gallery_id: str) -> list[str]:
        """The ids of a gallery's items in display order, computed from their sort orders alone."""
        items = [item for item in self.unit.items.values() if item and item.gallery_id == gallery_id]
        sort_orders = [item.sort_order for item in items]
        assert len(set(sort_orders)) == len(sort_orders), "two items have the same sort order"
        return [item.item_id for item in sorted(items, key=lambda item: -item.sort_order)]

    def item(self, item_id: str) -> StoredItem | None:
        """An item, if it exists."""
        return self.unit.items.get(item_id)

    def tick(self, milliseconds: int) -> None:
        """Move the clock forward, or back by a negative number."""
        self.now += timedelta(milliseconds=milliseconds)

    def _event_id(self) -> str:
        return f"event-{next(self._numbers)}"


TEXT: dict[str, Any] = {"text": {"html": "x"}}


class Gallery:
    """A gallery in its own world."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.world = World()
        reply = self.world.send("CreateGallery", {"gallery": {"name": "n", "sortOrder": 5, "items": list(items)}})
        assert reply.gallery_id is not None
        self.id = reply.gallery_id
        self.items = list(reply.item_ids or [])

    def send(self, name: str, **data: Any) -> Reply:
        return self.world.send(name, {"galleryId": self.id, **data})

    def update(self, **item: Any) -> Reply:
        return self.send("UpdateItem", itemId=self.items[0], item=item)

    def body(self, index: int = 0) -> dict[str, Any]:
        item = self.world.item(self.items[index])
        assert item is not None
        return item.body

    @property
    def head(self) -> dict[str, Any]:
        head = self.world.unit.heads[self.id]
        assert head is not None
        return head.to_wire()
