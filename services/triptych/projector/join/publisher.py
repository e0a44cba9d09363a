"""Publishes the join: what a batch touched, coalesced, and again what a former owner has overwritten."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import orjson

from triptych.contract.joined import parse_key
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.projector.join.audit import AuditedJoinPublisher, Latest
from triptych.projector.join.head_cache import CACHED_ITEMS_MAX, FirstItems, HeadCache
from triptych.projector.join.records import EncodedItem, KeyValue, head_records, item_records
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import ItemView, View
from triptych.projector.view.repository import ViewRepository

CONTENT_TYPE = (("content-type", b"application/json"),)
# Bounds memory: what is published at once weighs so many bytes of item JSON, or is a single gallery.
CHUNK_BYTES = 16 * 1024 * 1024
# What an item not seen yet counts as: more than most have, less than the largest.
UNSEEN_ITEM_BYTES = 8 * 1024


class JoinPublisher:
    """Turns views into records of the joined topic; the caller sees to it that only one call runs at a time."""

    def __init__(
        self, repository: ViewRepository, publisher: Publisher, guard: AuditedJoinPublisher, topic: str
    ) -> None:
        self._repository = repository
        self._publisher = publisher
        self._guard = guard
        self._topic = topic
        self.windows = HeadCache()

    async def own(self, partitions: Iterable[int]) -> None:
        """Begin to publish for the galleries of these partitions of the events topic."""
        self.windows.clear()
        partitions = set(partitions)
        count = await self._publisher.partitions(self._topic)
        # Galleries have the same number on both topics, unless somebody has changed one of them.
        await self._guard.own(number for number in range(count) if number in partitions)

    def disown(self) -> None:
        """Stop watching over what was published."""
        self._guard.stop_watching()

    async def remove(self, keys: Iterable[bytes]) -> None:
        """Publish tombstones."""
        await self._send([(key, None) for key in keys])

    async def publish(self, batch: Batch, galleries: Iterable[View] | None = None) -> Counter[int]:
        """Publish every item that a stored batch touched, and after them galleries; how many records, by partition.

        Args:
            batch: as it was stored.
            galleries: as they are stored; without it, those that the batch touched.

        Raises:
            TransientFailure: some records may be on the topic and some not.
        """
        if galleries is None:
            galleries = [batch.views[gallery_id] for gallery_id in batch.touched]
        pairs, sent = await self._item_records(batch), Counter[int]()
        for portion in self._chunks(list(galleries)):
            await self._read_windows(portion)
            for view in portion:
                window = self.windows.window(view.gallery_id)
                pairs += head_records(view, window.first() if window else ())
            sent += await self._send(pairs)
            pairs = []
            self.windows.trim()
        return sent + await self._send(pairs)

    async def mend(self, partitions: Container[int]) -> int:
        """Publish again what somebody else has overwritten with something outdated; the number of records.

        `partitions` are those of which everything that is stored was published.
        """
        mended = Counter[int]()
        async for latest in self._guard.suspects(partitions):
            mended += await self.publish(await self._outdated(latest))
        await self._guard.settle(mended)
        return mended.total()

    async def _outdated(self, latest: Latest) -> Batch:
        keys = {key: parse_key(key) for key in latest}
        views = await self._repository.load({gallery_id for gallery_id, _ in keys.values()})
        items = await self._repository.load_item_sequences([(gallery, item) for gallery, item in keys.values() if item])
        outdated = Batch(views)
        for key, (gallery_id, item_id) in keys.items():
            view = views.get(gallery_id)
            if view is None:
                continue
            right = items.get(item_id) if item_id else (view.sequence if view.is_shown else None)
            if latest[key] != right:
                outdated.touched.setdefault(gallery_id, set()).update([item_id] if item_id else [])
        return outdated

    async def _item_records(self, batch: Batch) -> list[KeyValue]:
        encoded = {item.item_id: _encode(item) for item in batch.items.values()}
        self._follow(batch, encoded)
        repeated = [(gallery_id, id_) for gallery_id, ids in batch.touched.items() for id_ in ids if id_ not in encoded]
        found = await self._repository.load_items(repeated)
        encoded.update((item.item_id, _encode(item)) for item in found.values())
        pairs: list[KeyValue] = []
        for gallery_id, item_ids in batch.touched.items():
            pairs += item_records(batch.views[gallery_id], {item_id: encoded.get(item_id) for item_id in item_ids})
        return pairs

    def _follow(self, batch: Batch, encoded: Mapping[str, EncodedItem | None]) -> None:
        """Bring the windows to where the batch has brought the views."""
        for item in batch.items.values():
            window = self.windows.window(item.gallery_id)
            if window is None:
                continue
            entry = encoded[item.item_id]
            if item.item is None or entry is None:
                window.remove(item.item_id)
            else:
                window.put(item.item_id, float(item.item["sortOrder"]), entry[1])
        for gallery_id in batch.changed:
            self.windows.update_view(batch.views[gallery_id])

    async def _read_windows(self, views: Sequence[View]) -> None:
        unknown = [view for view in views if view.is_shown and self.windows.window(view.gallery_id) is None]
        first = await self._repository.first_items(unknown, CACHED_ITEMS_MAX) if unknown else {}
        for view in views:
            window = self.windows.window(view.gallery_id)
            if window is None and view.gallery_id in first:
                items = first[view.gallery_id]
                window = FirstItems(
                    ((item["id"], float(item["sortOrder"]), orjson.dumps(item)) for item in items),
                    is_whole=len(items) < CACHED_ITEMS_MAX,
                )
            if window is not None:
                self.windows.keep(view, window)

    def _chunks(self, views: Sequence[View]) -> Iterator[Sequence[View]]:
        """Consecutive parts of the galleries whose first items fit into memory together."""
        start, weight = 0, 0
        for position, view in enumerate(views):
            window = self.windows.window(view.gallery_id)
            added = window.size if window else min(view.total_items, CACHED_ITEMS_MAX) * UNSEEN_ITEM_BYTES
            if weight and weight + added > CHUNK_BYTES:
                yield views[start:position]
                start, weight = position, 0
            weight += added
        if start < len(views):
            yield views[start:]

    async def _send(self, pairs: Sequence[KeyValue]) -> Counter[int]:
        partitions = await self._publisher.partitions(self._topic)
        records = [
            OutgoingRecord(self._topic, key, value, CONTENT_TYPE, partition_of(_gallery_part(key), partitions))
            for key, value in pairs
        ]
        await self._guard.publish(records)
        return Counter(record.partition or 0 for record in records)


def _gallery_part(key: bytes) -> bytes:
    return key.partition(b"/")[0]


def _encode(item: ItemView) -> EncodedItem | None:
    return None if item.item is None else (item.sequence, orjson.dumps(item.item))
