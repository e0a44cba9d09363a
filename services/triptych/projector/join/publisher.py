"""Publishes the join: the items and galleries that a batch touched, and records that a former owner has overwritten."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

import orjson

from triptych.contract.joined import JOINED_HEADERS, parse_key
from triptych.kit.chunks import by_weight
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.projector.join.audit import AuditedJoinPublisher, Latest
from triptych.projector.join.head_cache import CACHED_ITEMS_MAX, FirstItems, HeadCache
from triptych.projector.join.records import EncodedItem, KeyValue, head_records, item_records
from triptych.projector.view.batch import Batch
from triptych.projector.view.fold import ItemView, View
from triptych.projector.view.repository import ViewRepository

# Bounds memory: galleries are published in chunks of up to this much item JSON, or of a single gallery.
CHUNK_BYTES = 16 * 1024 * 1024
# The assumed size of an item that is not read yet: more than most items have, and less than the largest.
UNREAD_ITEM_BYTES = 8 * 1024


class JoinPublisher:
    """Publishes views as records of the joined topic. Concurrent calls must be for different partitions."""

    def __init__(
        self, repository: ViewRepository, publisher: Publisher, audit: AuditedJoinPublisher, topic: str
    ) -> None:
        self._repository = repository
        self._publisher = publisher
        self._audit = audit
        self._topic = topic
        self.head_cache = HeadCache()

    async def start_watching(self, partitions: Iterable[int]) -> None:
        """Start to publish the galleries of these partitions of the events topic, and to watch their records."""
        self.head_cache.clear()
        partitions = set(partitions)
        count = await self._publisher.partitions(self._topic)
        # A gallery's partition has the same number on both topics, unless one of the topics was given more partitions.
        await self._audit.start_watching(number for number in range(count) if number in partitions)

    def stop_watching(self) -> None:
        """Stop watching the published records."""
        self._audit.stop_watching()

    async def remove(self, keys: Iterable[bytes]) -> None:
        """Publish tombstones."""
        await self._send([(key, None) for key in keys])

    async def publish(
        self, batch: Batch, galleries: Iterable[View] | None = None, notices: Sequence[OutgoingRecord] = ()
    ) -> Counter[int]:
        """Publish every item that a stored batch touched, and then galleries.

        Args:
            batch: the batch as it was stored.
            galleries: the galleries as they are stored; by default those that the batch touched.
            notices: records for other topics, published together with the last galleries.

        Returns:
            The number of records published, by partition.

        Raises:
            TransientFailure: some records may be on the topic and some not.
        """
        if galleries is None:
            galleries = [batch.views[gallery_id] for gallery_id in batch.touched]
        pairs, sent = await self._item_records(batch), Counter[int]()
        views = list(galleries)
        chunks = list(by_weight(views, map(self._weight, views), CHUNK_BYTES))
        for chunk in chunks:
            first_items = await self._first_items(chunk)
            for view in chunk:
                cached = first_items.get(view.gallery_id)
                pairs += head_records(view, cached.first() if cached else ())
            sent += await self._send(pairs, notices if chunk is chunks[-1] else ())
            pairs = []
            self.head_cache.trim()
        return sent + await self._send(pairs, () if chunks else notices)

    async def republish_overwritten(self, partitions: Container[int]) -> int:
        """Republish the records that another process has overwritten with an older record.

        Args:
            partitions: the partitions whose stored records are all published.

        Returns:
            The number of records that were republished.
        """
        republished = Counter[int]()
        async for latest in self._audit.suspects(partitions):
            republished += await self.publish(await self._outdated(latest))
        await self._audit.mark_checked(republished)
        return republished.total()

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
        self._update_cache(batch, encoded)
        repeated = [(gallery_id, id_) for gallery_id, ids in batch.touched.items() for id_ in ids if id_ not in encoded]
        found = await self._repository.load_items(repeated)
        encoded.update((item.item_id, _encode(item)) for item in found.values())
        pairs: list[KeyValue] = []
        for gallery_id, item_ids in batch.touched.items():
            pairs += item_records(batch.views[gallery_id], {item_id: encoded.get(item_id) for item_id in item_ids})
        return pairs

    def _update_cache(self, batch: Batch, encoded: Mapping[str, EncodedItem | None]) -> None:
        """Apply the changes of a batch to the cached galleries."""
        for item in batch.items.values():
            first_items = self.head_cache.first_items(item.gallery_id)
            if first_items is None:
                continue
            entry = encoded[item.item_id]
            if item.item is None or entry is None:
                first_items.remove(item.item_id)
            else:
                first_items.put(item.item_id, float(item.item["sortOrder"]), entry[1])
        for gallery_id in batch.changed:
            self.head_cache.update_view(batch.views[gallery_id])

    async def _first_items(self, views: Sequence[View]) -> dict[str, FirstItems]:
        """The first items of each gallery that has some, from the cache or else from the views; they are cached then.

        Cached items belong to the cached view. A former owner, which does not know yet that it is one, may read a later
        view than it has cached: with former items, its record would look right to the audit, which sees sequences only.

        While the views are read, a call for other galleries may drop cached ones to save memory, so the cache is asked
        only once.
        """
        known = {
            view.gallery_id: cached
            for view in views
            if self.head_cache.view(view.gallery_id) == view
            and (cached := self.head_cache.first_items(view.gallery_id)) is not None
        }
        unknown = [view for view in views if view.is_shown and view.gallery_id not in known]
        found = await self._repository.first_items(unknown, CACHED_ITEMS_MAX) if unknown else {}
        for gallery_id, items in found.items():
            known[gallery_id] = FirstItems(
                ((item["id"], float(item["sortOrder"]), orjson.dumps(item)) for item in items),
                is_whole=len(items) < CACHED_ITEMS_MAX,
            )
        for view in views:
            if view.gallery_id in known:
                self.head_cache.keep(view, known[view.gallery_id])
        return known

    def _weight(self, view: View) -> int:
        """The bytes of a gallery's first items; about, if they are not read yet."""
        first_items = self.head_cache.first_items(view.gallery_id)
        return first_items.size if first_items else min(view.total_items, CACHED_ITEMS_MAX) * UNREAD_ITEM_BYTES

    async def _send(self, pairs: Sequence[KeyValue], notices: Sequence[OutgoingRecord] = ()) -> Counter[int]:
        partitions = await self._publisher.partitions(self._topic)
        records = [
            OutgoingRecord(self._topic, key, value, JOINED_HEADERS, partition_of(_gallery_of(key), partitions))
            for key, value in pairs
        ]
        await self._audit.publish(records, notices)
        return Counter(record.partition or 0 for record in records)


def _gallery_of(key: bytes) -> bytes:
    return key.partition(b"/")[0]


def _encode(item: ItemView) -> EncodedItem | None:
    return None if item.item is None else (item.sequence, orjson.dumps(item.item))
