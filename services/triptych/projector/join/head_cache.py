"""Remembers galleries and their first items, so that a head record costs no query; valid for the owner only.

A gallery's window holds all of its items, or as many of the first ones as can lose some and still fill a head record.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable

from triptych.contract.joined import HEAD_ITEMS_MAX
from triptych.projector.view.fold import View

CACHED_ITEMS_MAX = 2 * HEAD_ITEMS_MAX
"""More than a head record needs: reading again is due only after this many more were lost than came."""

BYTES_MAX = 64 * 1024 * 1024
"""Of item JSON held in all windows together."""

_ENTRY_BYTES = 300
# What an entry takes besides its JSON, roughly.


class FirstItems:
    """The first items of a gallery, encoded, in display order (D3)."""

    def __init__(self, items: Iterable[tuple[str, float, bytes]], *, is_whole: bool) -> None:
        """`items` are (id, sort order, JSON); `is_whole` says that the gallery has no others."""
        self._items = {item_id: (-sort_order, _compact(encoded)) for item_id, sort_order, encoded in items}
        self._order = sorted((place, item_id) for item_id, (place, _) in self._items.items())
        self._is_whole = is_whole
        self.size = sum(len(encoded) + _ENTRY_BYTES for _, encoded in self._items.values())

    @property
    def is_sufficient(self) -> bool:
        """Whether a head record can be made of it."""
        return self._is_whole or len(self._order) >= HEAD_ITEMS_MAX

    def first(self) -> list[bytes]:
        """The items of a head record."""
        return [self._items[item_id][1] for _, item_id in self._order[:HEAD_ITEMS_MAX]]

    def put(self, item_id: str, sort_order: float, encoded: bytes) -> None:
        """Follow the creation or change of an item."""
        self.remove(item_id)
        entry = (-sort_order, item_id)
        if not self._is_whole and (not self._order or entry > self._order[-1]):
            return  # it may lie behind others that are not here either
        insort(self._order, entry)
        self._items[item_id] = (-sort_order, _compact(encoded))
        self.size += len(encoded) + _ENTRY_BYTES
        if len(self._order) > CACHED_ITEMS_MAX:
            self._is_whole = False
            self.remove(self._order[-1][1])

    def remove(self, item_id: str) -> None:
        """Follow the deletion of an item."""
        known = self._items.pop(item_id, None)
        if known is not None:
            place, encoded = known
            del self._order[bisect_left(self._order, (place, item_id))]
            self.size -= len(encoded) + _ENTRY_BYTES


def _compact(encoded: bytes) -> bytes:
    """A copy that takes its own size: orjson's results hold on to the buffer they were written in (measured: 4 KB)."""
    return bytes(memoryview(encoded))


class HeadCache:
    """Views and windows of the galleries touched last, within bounds."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._views: dict[str, View] = {}
        self._windows: OrderedDict[str, FirstItems] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._size = 0

    def view(self, gallery_id: str) -> View | None:
        """The gallery as it is stored, if that is known."""
        return self._views.get(gallery_id)

    def window(self, gallery_id: str) -> FirstItems | None:
        """The gallery's first items, if they are known."""
        window = self._windows.get(gallery_id)
        return window if window is not None and window.is_sufficient else None

    def keep(self, view: View, window: FirstItems) -> None:
        """Remember a gallery as the one touched last."""
        self._views[view.gallery_id] = view
        self._windows[view.gallery_id] = window
        self._windows.move_to_end(view.gallery_id)
        self._size += window.size - self._sizes.get(view.gallery_id, 0)
        self._sizes[view.gallery_id] = window.size

    def update_view(self, view: View) -> None:
        """Take over the view of a gallery that is remembered."""
        if view.gallery_id in self._windows:
            self._views[view.gallery_id] = view

    def clear(self) -> None:
        """Forget everything: somebody else may have written."""
        self._views.clear()
        self._windows.clear()
        self._sizes.clear()
        self._size = 0

    def trim(self) -> None:
        """Forget the galleries touched longest ago until the rest is within bounds."""
        while self._size > self._bytes_max:
            gallery_id, _ = self._windows.popitem(last=False)
            del self._views[gallery_id]
            self._size -= self._sizes.pop(gallery_id)
