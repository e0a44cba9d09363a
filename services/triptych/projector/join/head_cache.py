"""Caches galleries and their first items, so that a head record costs no query. Only the owner may use the cache.

The cache has all items of a small gallery. Of a larger one it has up to `CACHED_ITEMS_MAX` first items, so that some
can be deleted and the others still fill a head record.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable

from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.projector.view.fold import View

CACHED_ITEMS_MAX = 2 * HEAD_ITEMS_MAX
"""More than a head record needs. The items are read again only when deletions have left too few for a head record."""

BYTES_MAX = 64 * 1024 * 1024
"""The size of the cached item JSON of all galleries together."""

# The approximate size of an entry without its JSON.
_ENTRY_BYTES = 300


class FirstItems:
    """The first items of a gallery, encoded, in display order (D3)."""

    def __init__(self, items: Iterable[tuple[str, float, bytes]], *, is_whole: bool) -> None:
        """`items` are (id, sort order, JSON); `is_whole` says that the gallery has no other items."""
        # Negated sort orders: ascending order is then display order.
        self._items = {item_id: (-sort_order, _compact(encoded)) for item_id, sort_order, encoded in items}
        self._order = sorted((negated, item_id) for item_id, (negated, _) in self._items.items())
        self._is_whole = is_whole
        self.size = sum(len(encoded) + _ENTRY_BYTES for _, encoded in self._items.values())

    @property
    def is_sufficient(self) -> bool:
        """Whether there are enough items for a head record."""
        return self._is_whole or len(self._order) >= HEAD_ITEMS_MAX

    def first(self) -> list[bytes]:
        """The items of a head record."""
        return [self._items[item_id][1] for _, item_id in self._order[:HEAD_ITEMS_MAX]]

    def put(self, item_id: str, sort_order: float, encoded: bytes) -> None:
        """Add or replace an item."""
        cached = self._items.get(item_id)
        if cached is not None and cached[0] == -sort_order:  # most changes leave an item in its place
            self._items[item_id] = (-sort_order, _compact(encoded))
            self.size += len(encoded) - len(cached[1])
            return
        self.remove(item_id)
        entry = (-sort_order, item_id)
        if not self._is_whole and (not self._order or entry > self._order[-1]):
            return  # other items that are not cached may come before it
        insort(self._order, entry)
        self._items[item_id] = (-sort_order, _compact(encoded))
        self.size += len(encoded) + _ENTRY_BYTES
        if len(self._order) > CACHED_ITEMS_MAX:
            self._is_whole = False
            self.remove(self._order[-1][1])

    def remove(self, item_id: str) -> None:
        """Remove an item, if it is cached."""
        cached = self._items.pop(item_id, None)
        if cached is not None:
            negated, encoded = cached
            del self._order[bisect_left(self._order, (negated, item_id))]
            self.size -= len(encoded) + _ENTRY_BYTES


def _compact(encoded: bytes) -> bytes:
    """A copy without spare memory. A result of orjson keeps the buffer that it was written to (measured: 4 KB)."""
    return bytes(memoryview(encoded))


class HeadCache:
    """The views and first items of the most recently published galleries, up to a number of bytes."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._views: dict[str, View] = {}
        self._first_items: OrderedDict[str, FirstItems] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._size = 0

    def view(self, gallery_id: str) -> View | None:
        """The gallery as it is stored, if it is cached."""
        return self._views.get(gallery_id)

    def first_items(self, gallery_id: str) -> FirstItems | None:
        """The gallery's first items, if enough of them are cached."""
        first_items = self._first_items.get(gallery_id)
        return first_items if first_items is not None and first_items.is_sufficient else None

    def keep(self, view: View, first_items: FirstItems) -> None:
        """Cache a gallery as the most recently used one."""
        self._views[view.gallery_id] = view
        self._first_items[view.gallery_id] = first_items
        self._first_items.move_to_end(view.gallery_id)
        self._size += first_items.size - self._sizes.get(view.gallery_id, 0)
        self._sizes[view.gallery_id] = first_items.size

    def update_view(self, view: View) -> None:
        """Replace the view of a gallery, if it is cached."""
        if view.gallery_id in self._first_items:
            self._views[view.gallery_id] = view

    def clear(self) -> None:
        """Drop everything: another process may have written, or a write may have failed."""
        self._views.clear()
        self._first_items.clear()
        self._sizes.clear()
        self._size = 0

    def trim(self) -> None:
        """Drop the least recently used galleries until the others are within bounds."""
        while self._size > self._bytes_max:
            gallery_id, _ = self._first_items.popitem(last=False)
            del self._views[gallery_id]
            self._size -= self._sizes.pop(gallery_id)
