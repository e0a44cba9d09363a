"""Tells gateways which of their writes the read model shows, by records on their reply topics (decision 37).

A notice saves a gateway some queries, and decides nothing. So the projection never waits for one: notices are sent in
the background. If one cannot be published, it is dropped and counted, and the gateway queries the views instead.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import Counter

from triptych.contract.codec.notices import NOTICE_GALLERIES_MAX, Shown, encode_notice
from triptych.contract.topics import Topics
from triptych.kit.chunks import by_count
from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.coalescer import Coalescer
from triptych.projector.view.fold import View

log = get_logger(__name__)

DROPPED = Counter("triptych_notices_dropped_total", "Galleries in notices to gateways that were not published")

PATIENCE_SECONDS = 2.0
"""How long Kafka may take to store notices. Their gateways query the views meanwhile."""
PENDING_MAX = 20_000
"""Galleries in notices that wait to be published; further ones are dropped."""


class Wanted(NamedTuple):
    """An event's gallery, and the topic on which a gateway waits for it, as the header of the event names it."""

    topic: bytes
    gallery_id: str


class _Addressed(NamedTuple):
    topic: str
    shown: Shown


class Notices:
    """The notices that wait to be published."""

    def __init__(self, publisher: Publisher, topics: Topics, reply_topics: int) -> None:
        """`publisher` is for notices alone: a topic that is missing must not delay other records."""
        names = [topics.gateway_replies(number) for number in range(reply_topics)]
        self._topics = {name.encode(): name for name in names}
        self._publisher = publisher
        self._pending = 0
        self._waiting: Coalescer[_Addressed] = Coalescer("Kafka to take notices", self._publish)

    def send_soon(self, wanted: Iterable[Wanted], views: Mapping[str, View]) -> None:
        """Send notices of galleries as they are stored and published now, one for each topic and gallery.

        Args:
            wanted: by whom they are wanted. Topics that are no gateway's are ignored: anybody may write headers.
            views: the stored views by gallery id; a gallery that is not there has no notice.
        """
        found = [
            _Addressed(topic, Shown(view.site_id, view.gallery_id, view.sequence))
            for one in dict.fromkeys(wanted)
            if (topic := self._topics.get(one.topic)) and (view := views.get(one.gallery_id))
        ]
        room = PENDING_MAX - self._pending
        if len(found) > room:
            DROPPED.inc(len(found) - room)
            found = found[:room]
        self._pending += len(found)
        self._waiting.add(found)

    async def stop(self) -> None:
        """Send nothing more. The producer has to be stopped by its owner."""
        await self._waiting.stop()

    async def _publish(self, waiting: list[_Addressed]) -> None:
        self._pending -= len(waiting)
        latest: dict[str, dict[str, Shown]] = {}
        for topic, shown in waiting:
            latest.setdefault(topic, {})[shown.gallery_id] = shown
        records = []
        for topic, by_gallery in latest.items():
            for chunk in by_count(list(by_gallery.values()), NOTICE_GALLERIES_MAX):
                message = encode_notice(chunk)
                records.append(OutgoingRecord(topic, message.key, message.value, message.headers, 0))
        try:
            await self._publisher.publish(records)
        except Exception as error:
            if fault_of(error) is Fault.OURS:
                log.exception("notices to gateways cannot be published")
            else:
                log.warning("notices to gateways cannot be published", count=len(waiting), error=error)
            DROPPED.inc(len(waiting))
