"""A second reader of the joined topic, written from the rules of `docs/consumers.md` alone.

It represents readers in other languages. Each comment gives the rule that its code follows. It copies whole galleries,
while `triptych.client.Galleries` saves memory.
"""

import json
from typing import Any


class LiteralReader:
    """All galleries, in plain dictionaries."""

    def __init__(self) -> None:
        self.heads: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, dict[str, Any]]] = {}
        self.removed: dict[str, set[str]] = {}
        self.shown: dict[str, tuple[int, dict[str, Any]]] = {}
        self.deleted: set[str] = set()

    def get(self, gallery_id: str) -> dict[str, Any] | None:
        """The gallery as it is shown; None if it is not shown."""
        return self.shown[gallery_id][1] if gallery_id in self.shown else None

    def feed(self, key: bytes, value: bytes | None) -> None:
        """Process a record."""
        gallery_id, _, item_id = key.decode().partition("/")
        if gallery_id in self.deleted:
            return
        if item_id:
            self._item(gallery_id, item_id, None if value is None else json.loads(value))
        elif value is None:
            # 5. A gallery's tombstone removes everything of it. Ignore whatever may still come.
            self.deleted.add(gallery_id)
            for kept in (self.heads, self.items, self.removed, self.shown):
                kept.pop(gallery_id, None)
        else:
            # 1. Keep the head record with the highest sequence.
            record, kept_head = json.loads(value), self.heads.get(gallery_id)
            if kept_head is None or record["sequence"] >= kept_head["sequence"]:
                self.heads[gallery_id] = record
                self._look(gallery_id)

    def _item(self, gallery_id: str, item_id: str, record: dict[str, Any] | None) -> None:
        items = self.items.setdefault(gallery_id, {})
        removed = self.removed.setdefault(gallery_id, set())
        if record is None:
            # 2. A tombstone removes the item. Until the gallery is whole at a later head, ignore records of it.
            items.pop(item_id, None)
            removed.add(item_id)
        elif item_id in removed:
            return
        elif item_id in items:
            # 1. Keep the item record with the highest sequence.
            if record["sequence"] < items[item_id]["sequence"]:
                return
            items[item_id] = record
        else:
            # 4. Ignore a record of an item that you do not keep if it is not above what you show: it was deleted.
            if gallery_id in self.shown and record["sequence"] <= self.shown[gallery_id][0]:
                return
            items[item_id] = record
        self._look(gallery_id)

    def _look(self, gallery_id: str) -> None:
        # 3. Whole: as many items as the head says, none of a higher sequence than the head's. Only then show it.
        head, items = self.heads.get(gallery_id), list(self.items.get(gallery_id, {}).values())
        if head is None or len(items) != head["totalItems"]:
            return
        if any(record["sequence"] > head["sequence"] for record in items):
            return
        if gallery_id not in self.shown or self.shown[gallery_id][0] < head["sequence"]:
            self.removed[gallery_id] = set()
        ordered = sorted((record["item"] for record in items), key=lambda item: -float(item["sortOrder"]))
        self.shown[gallery_id] = (head["sequence"], {**head["gallery"], "items": ordered})
