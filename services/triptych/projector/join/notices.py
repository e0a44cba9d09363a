"""Makes the notices that tell gateways which of their writes the read model shows (decision 37).

They are published together with the joined records of the same events, which costs no request more. A notice saves a
gateway some queries, and decides nothing: if it is left out, the gateway queries the views instead. So a reply topic
that takes no records delays the join once, and then no notice is published for a while.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import orjson
from prometheus_client import Counter

from triptych.contract.codec.notices import NOTICE_GALLERIES_MAX, NOTICE_ITEMS_BYTES, Shown, encode_notice
from triptych.kit.backoff import Backoff
from triptych.kit.chunks import by_count
from triptych.kit.kafka.publishing.publisher import OutgoingRecord
from triptych.kit.logs.loggers import get_logger
from triptych.projector.view.fold import ItemView, View

log = get_logger(__name__)

DROPPED = Counter("triptych_notices_dropped_total", "Galleries in notices to gateways that were not published")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""How long no notices are published after a publication with notices has failed: their topic may be the cause."""
ITEMS_MAX = 8
"""A gateway that waits for more items of a gallery is told none: who changes many is not answered with them."""
NO_ITEMS: Mapping[str, ItemView] = {}


class Wanted(NamedTuple):
    """An event's gallery and item, and the topic on which a gateway waits for it, as a header of the event names it."""

    topic: bytes
    gallery_id: str
    item_id: str | None = None


async def _has_none(_topic: str) -> bool:
    return False


class Notices:
    """Makes the records of notices, as long as they can be published.

    Their topics may be missing, or take no records. The joined records must not wait for that more than now and then.
    """

    def __init__(self, has_topic: Callable[[str], Awaitable[bool]], names: Iterable[str]) -> None:
        """
        Args:
            has_topic: says whether a topic exists. A record for a missing topic would delay the joined records.
            names: the reply topics of gateways. Others get no notices, because anybody may write headers.
        """
        self._topics = {name.encode(): name for name in names}
        self._has_topic = has_topic
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._paused_until = 0.0

    @asynccontextmanager
    async def of(
        self, wanted: Collection[Wanted], views: Mapping[str, View], items: Mapping[str, ItemView] = NO_ITEMS
    ) -> AsyncIterator[Sequence[OutgoingRecord]]:
        """The notices of galleries as they are stored now, to be published in the block.

        Args:
            wanted: by whom they are wanted.
            views: the stored views by gallery id. A gallery that is not there has no notice.
            items: stored items by id. Notices have those that are wanted, as far as there is room.

        Raises:
            TransientFailure: Kafka does not say whether a topic exists.
        """
        records = await self._records(wanted, views, items) if wanted else ()
        try:
            yield records
        except Exception as error:
            if records:
                pause = self._backoff.next_pause()
                self._paused_until = time.monotonic() + pause
                log.warning("gateways get no notices for a while", seconds=round(pause, 1), error=error)
            raise
        if records:
            self._backoff.reset()

    async def _records(
        self, wanted: Collection[Wanted], views: Mapping[str, View], items: Mapping[str, ItemView]
    ) -> Sequence[OutgoingRecord]:
        by_topic: dict[str, dict[str, set[str]]] = {}
        for one in wanted:
            if (topic := self._topics.get(one.topic)) and one.gallery_id in views:
                item_ids = by_topic.setdefault(topic, {}).setdefault(one.gallery_id, set())
                if one.item_id is not None:
                    item_ids.add(one.item_id)
        records = []
        for topic, galleries in by_topic.items():
            if time.monotonic() < self._paused_until or not await self._has_topic(topic):
                DROPPED.inc(len(galleries))
                continue
            for chunk in by_count(list(galleries.items()), NOTICE_GALLERIES_MAX):
                message = encode_notice(_shown(chunk, views, items))
                records.append(OutgoingRecord(topic, message.key, message.value, message.headers, 0))
        return records


def _shown(
    galleries: Iterable[tuple[str, set[str]]], views: Mapping[str, View], items: Mapping[str, ItemView]
) -> list[Shown]:
    """The content of a notice about these galleries, each with the ids of the items that are wanted."""
    shown, room = [], NOTICE_ITEMS_BYTES
    for gallery_id, item_ids in galleries:
        found: list[orjson.Fragment] = []
        for item_id in item_ids if len(item_ids) <= ITEMS_MAX else ():
            item = items.get(item_id)
            if item is None or item.item is None or item.gallery_id != gallery_id:
                continue
            encoded = orjson.dumps(item.item)
            if len(encoded) <= room:
                room -= len(encoded)
                found.append(orjson.Fragment(encoded))
        view = views[gallery_id]
        shown.append(Shown(view.site_id, gallery_id, view.sequence, tuple(found)))
    return shown


NO_NOTICES = Notices(_has_none, ())
"""For views that nobody reads yet."""
