"""What commands do in the floor: documents changed in memory, for commands that are all fine."""

from bisect import bisect_left, insort
from collections import defaultdict
from typing import Any

import uuid_utils

Document = dict[str, Any]
END_GAP = 1_000.0


class Changes:
    """The documents of a batch, loaded and then changed by one command after the other."""

    def __init__(self, heads: dict[str, Document], items: dict[str, Document], now: str, now_ms: float) -> None:
        self.heads = heads
        self.loaded = {gallery_id: head["sequence"] for gallery_id, head in heads.items()}
        self.items = items
        self.places = {item_id: item["sortOrder"] for item_id, item in items.items()}
        # What is known of each gallery's order, ascending: the stretches that moves of this batch need.
        self.lines: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self.touched: dict[str, None] = {}
        self._now = now
        self._now_ms = now_ms

    def apply(self, name: str, data: Document) -> tuple[Document, str, Document]:
        """Carry out a command on one item; the gallery, the item's id and the body of the event."""
        head = self.heads[data["galleryId"]]
        head["sequence"] += 1
        match name:
            case "CreateItems":
                item_id, body = self._create(head, data["items"][0])
            case "UpdateItem":
                item_id, body = self._update(data["itemId"], data["item"])
            case "MoveItem":
                item_id, body = self._move(head, data)
            case _:
                item_id, body = self._delete(head, data["itemIds"][0])
        self.touched[item_id] = None
        return head, item_id, body

    def _create(self, head: Document, content: Document) -> tuple[str, Document]:
        head["totalItems"] += 1
        head["lastDefault"] = head["highest"] = place = max(self._now_ms, head["lastDefault"] + 1)
        item_id = str(uuid_utils.uuid7())
        dates = {"createdDate": self._now, "updatedDate": self._now}
        body = {**content, "id": item_id, "sortOrder": int(place), "type": "IMAGE", **dates}
        self.items[item_id] = {
            "_id": item_id,
            "siteId": head["siteId"],
            "galleryId": head["_id"],
            "sortOrder": place,
            "item": body,
        }
        insort(self.lines[head["_id"]], (place, item_id))
        return item_id, {"item": body}

    def _update(self, item_id: str, patch: Document) -> tuple[str, Document]:
        # New documents, because the body of an earlier event may still be waiting to be written.
        item = self.items[item_id]
        body = {**item["item"], **patch, "updatedDate": self._now}
        self.items[item_id] = {**item, "item": body}
        return item_id, {"updatedItem": body}

    def _move(self, head: Document, data: Document) -> tuple[str, Document]:
        item = self.items[data["itemId"]]
        item_id, line = item["_id"], self.lines[head["_id"]]
        self._leave(item, line)
        if data.get("to") == "start":
            place = line[-1][0] + END_GAP
        elif data.get("to") == "end":
            place = line[0][0] - END_GAP
        elif "before" in data:
            low, above = self._stand(data["before"], line, 1)
            place = _between(low, low + 2 * END_GAP if above is None else above)
        else:
            high, below = self._stand(data["after"], line, -1)
            place = _between(high - 2 * END_GAP if below is None else below, high)
        insort(line, (place, item_id))
        head["highest"] = max(head["highest"], place)
        head["lastDefault"] = max(head["lastDefault"], place // 1)
        body = {**item["item"], "sortOrder": int(place) if place.is_integer() else place, "updatedDate": self._now}
        self.items[item_id] = {**item, "sortOrder": place, "item": body}
        return item_id, {"updatedItem": body}

    def _stand(self, item_id: str, line: list[tuple[float, str]], side: int) -> tuple[float, float | None]:
        """The place of an item, and that of its neighbour on one side if there is one."""
        place: float = self.items[item_id]["sortOrder"]
        position = bisect_left(line, (place, item_id)) + side
        return place, line[position][0] if 0 <= position < len(line) else None

    def _delete(self, head: Document, item_id: str) -> tuple[str, Document]:
        head["totalItems"] -= 1
        self._leave(self.items.pop(item_id), self.lines[head["_id"]])
        return item_id, {"itemId": item_id}

    @staticmethod
    def _leave(item: Document, line: list[tuple[float, str]]) -> None:
        entry = (item["sortOrder"], item["_id"])
        position = bisect_left(line, entry)
        if line[position : position + 1] == [entry]:
            del line[position]

    def writes(self) -> tuple[list[str], list[Document], list[Document]]:
        """Ids of items that leave their place, documents that take a new one, and those that change in place."""
        gone: list[str] = []
        new: list[Document] = []
        changed: list[Document] = []
        for item_id in self.touched:
            before, item = self.places.get(item_id), self.items.get(item_id)
            is_placed = item is not None and before == item["sortOrder"]
            if before is not None and not is_placed:
                gone.append(item_id)
            if item is not None:
                (changed if is_placed else new).append(item)
        return gone, new, changed


def _between(low: float, high: float) -> float:
    place = (low + high) / 2
    assert low < place < high  # the workload leaves room
    return place
