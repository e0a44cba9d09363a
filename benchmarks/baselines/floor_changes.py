"""Applies commands to documents in memory for the floor. It expects valid commands only."""

from bisect import bisect_left, insort
from collections import defaultdict

import uuid_utils

from benchmarks.baselines.floor_mongo import Document

END_GAP = 1_000.0
LOWEST, HIGHEST = float("-inf"), float("inf")


class UnknownNeighbour(Exception):
    """Earlier changes of the batch have moved the loaded neighbours. The remaining commands have to be loaded again."""


class Line:
    """The known ranges of a gallery's order: its items within some bounds, ascending."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, str]] = []
        self._bounds: list[tuple[float, float]] = []

    def learn(self, low: float, high: float, entries: list[tuple[float, str]]) -> None:
        """Add a range: all items from `low` to `high`."""
        self.entries = sorted({*self.entries, *entries})
        bounds = [(low, high)]
        for other in self._bounds:
            if other[0] <= bounds[0][1] and bounds[0][0] <= other[1]:
                bounds[0] = (min(other[0], bounds[0][0]), max(other[1], bounds[0][1]))
            else:
                bounds.append(other)
        self._bounds = bounds

    def enter(self, sort_order: float, item_id: str) -> None:
        """Add an item."""
        insort(self.entries, (sort_order, item_id))

    def leave(self, sort_order: float, item_id: str) -> None:
        """Remove an item, if it is known."""
        position = bisect_left(self.entries, (sort_order, item_id))
        if self.entries[position : position + 1] == [(sort_order, item_id)]:
            del self.entries[position]

    def neighbour(self, sort_order: float, side: int, moving: str) -> float:
        """The next sort order above (1) or below (-1), which may be infinite. Raises UnknownNeighbour."""
        found = HIGHEST if side > 0 else LOWEST
        for other, item_id in self.entries[::-side]:
            if (other - sort_order) * side <= 0:
                break
            if item_id != moving:
                found = other
        low, high = min(sort_order, found), max(sort_order, found)
        if not any(bounds[0] <= low and high <= bounds[1] for bounds in self._bounds):
            raise UnknownNeighbour
        return found


class Changes:
    """The documents of a batch, as loaded and then changed by its commands."""

    def __init__(self, heads: dict[str, Document], items: dict[str, Document], now: str, now_ms: float) -> None:
        self.heads = heads
        self.loaded = {gallery_id: head["sequence"] for gallery_id, head in heads.items()}
        self.items = items
        self.loaded_sort_orders = {item_id: item["sortOrder"] for item_id, item in items.items()}
        self.lines: dict[str, Line] = defaultdict(Line)
        self.touched: dict[str, None] = {}
        self._now = now
        self._now_ms = now_ms

    def apply(self, name: str, data: Document) -> tuple[Document, str, Document]:
        """Carry out a command on one item.

        Returns:
            The gallery, the item's id and the body of the event.

        Raises:
            UnknownNeighbour: nothing was changed.
        """
        head = self.heads[data["galleryId"]]
        match name:
            case "CreateItems":
                item_id, body = self._create(head, data["items"][0])
            case "UpdateItem":
                item_id, body = self._update(data["itemId"], data["item"])
            case "MoveItem":
                item_id, body = self._move(head, data)
            case _:
                item_id, body = self._delete(head, data["itemIds"][0])
        head["sequence"] += 1
        self.touched[item_id] = None
        return head, item_id, body

    def _create(self, head: Document, content: Document) -> tuple[str, Document]:
        head["totalItems"] += 1
        head["lastDefault"] = head["highest"] = sort_order = max(self._now_ms, head["lastDefault"] + 1)
        item_id = str(uuid_utils.uuid7())
        dates = {"createdDate": self._now, "updatedDate": self._now}
        body = {**content, "id": item_id, "sortOrder": int(sort_order), "type": "IMAGE", **dates}
        self.items[item_id] = {
            "_id": item_id,
            "siteId": head["siteId"],
            "galleryId": head["_id"],
            "sortOrder": sort_order,
            "item": body,
        }
        self.lines[head["_id"]].enter(sort_order, item_id)
        return item_id, {"item": body}

    def _update(self, item_id: str, patch: Document) -> tuple[str, Document]:
        # A new document, because the body of an earlier event may not be published yet.
        item = self.items[item_id]
        body = {**item["item"], **patch, "updatedDate": self._now}
        self.items[item_id] = {**item, "item": body}
        return item_id, {"updatedItem": body}

    def _move(self, head: Document, data: Document) -> tuple[str, Document]:
        item = self.items[data["itemId"]]
        item_id, line = item["_id"], self.lines[head["_id"]]
        if data.get("to") == "start":
            low, high = line.neighbour(HIGHEST, -1, item_id), HIGHEST
        elif data.get("to") == "end":
            low, high = LOWEST, line.neighbour(LOWEST, 1, item_id)
        elif "before" in data:
            low = self.items[data["before"]]["sortOrder"]
            high = line.neighbour(low, 1, item_id)
        else:
            high = self.items[data["after"]]["sortOrder"]
            low = line.neighbour(high, -1, item_id)
        sort_order = _between(low, high)
        line.leave(item["sortOrder"], item_id)
        line.enter(sort_order, item_id)
        head["highest"] = max(head["highest"], sort_order)
        head["lastDefault"] = max(head["lastDefault"], sort_order // 1)
        body = {
            **item["item"],
            "sortOrder": int(sort_order) if sort_order.is_integer() else sort_order,
            "updatedDate": self._now,
        }
        self.items[item_id] = {**item, "sortOrder": sort_order, "item": body}
        return item_id, {"updatedItem": body}

    def _delete(self, head: Document, item_id: str) -> tuple[str, Document]:
        head["totalItems"] -= 1
        self.lines[head["_id"]].leave(self.items.pop(item_id)["sortOrder"], item_id)
        return item_id, {"itemId": item_id}

    def writes(self) -> tuple[list[str], list[Document], list[Document]]:
        """The ids of items to delete, the documents to insert, and the documents to replace.

        An item that is moved is deleted and inserted.
        """
        gone: list[str] = []
        new: list[Document] = []
        changed: list[Document] = []
        for item_id in self.touched:
            before, item = self.loaded_sort_orders.get(item_id), self.items.get(item_id)
            is_unmoved = item is not None and before == item["sortOrder"]
            if before is not None and not is_unmoved:
                gone.append(item_id)
            if item is not None:
                (changed if is_unmoved else new).append(item)
        return gone, new, changed


def _between(low: float, high: float) -> float:
    if high == HIGHEST:
        return low + END_GAP
    if low == LOWEST:
        return high - END_GAP
    sort_order = (low + high) / 2
    assert low < sort_order < high  # the workload leaves gaps that are large enough
    return sort_order
