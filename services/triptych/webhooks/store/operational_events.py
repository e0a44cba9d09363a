"""Records and lists operational events about listeners, in one document for each listener, day and kind."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from triptych.contract.base import format_instant
from triptych.kit.chunks import by_count
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, IndexModel, UpdateOne

OPERATIONAL_EVENTS = "operational_events"
WRITES_AT_ONCE = 1_000
INDEXES: Mapping[str, list[IndexModel]] = {
    OPERATIONAL_EVENTS: [
        IndexModel([("siteId", ASCENDING), ("lastAt", DESCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ]
}


class OperationalEventKind(StrEnum):
    """The kind of an operational event."""

    LISTENER_DISABLED = "listener.disabled"
    ADDRESS_FORBIDDEN = "listener.address-forbidden"
    LISTENER_BEHIND = "listener.behind"
    """A delivery has been due for over a minute: the listener is too slow, or its limits are too low."""
    DELIVERY_DEAD = "delivery.dead"
    EVENTS_EXPIRED = "events.expired"
    """Events expired before the relay saw them. Some may have been for the listener."""


class OperationalEvents:
    """Records and lists the operational events of all sites."""

    def __init__(self, database: Database, retention: timedelta) -> None:
        self._events = database[OPERATIONAL_EVENTS]
        self._retention = retention

    async def record(
        self, kind: OperationalEventKind, site_id: str, listener_id: str, text: str, now: datetime
    ) -> None:
        """Record an event. One document counts the events of the same kind, listener and day."""
        await self._events.update_one(
            {"_id": f"{listener_id}:{kind}:{now:%Y-%m-%d}"},
            {
                "$setOnInsert": {"siteId": site_id, "listenerId": listener_id, "kind": kind.value, "firstAt": now},
                "$set": {"lastAt": now, "text": text, "expiresAt": now + self._retention},
                "$inc": {"count": 1},
            },
            upsert=True,
        )

    async def record_each(
        self,
        kind: OperationalEventKind,
        listeners: Iterable[tuple[str, str]],
        occurrence: str,
        text: str,
        now: datetime,
    ) -> None:
        """Record an event for each of these listeners (site, id). The same `occurrence` is recorded only once."""
        fields = {"kind": kind.value, "firstAt": now, "lastAt": now, "text": text, "count": 1}
        fields["expiresAt"] = now + self._retention
        writes = [
            UpdateOne(
                {"_id": f"{listener_id}:{kind}:{occurrence}"},
                {"$setOnInsert": {"siteId": site_id, "listenerId": listener_id, **fields}},
                upsert=True,
            )
            for site_id, listener_id in listeners
        ]
        for chunk in by_count(writes, WRITES_AT_ONCE):
            await self._events.bulk_write(chunk, ordered=False)

    async def list(self, site_id: str, limit: int) -> list[dict[str, Any]]:
        """The latest events of a site, newest first, as administrators see them."""
        found = await self._events.find({"siteId": site_id}).sort([("lastAt", DESCENDING)]).limit(limit).to_list(None)
        return [_wire(document) for document in found]


def _wire(document: Document) -> dict[str, Any]:
    return {
        "type": document["kind"],
        "listenerId": document["listenerId"],
        "text": document["text"],
        "count": document["count"],
        "firstDate": format_instant(document["firstAt"]),
        "lastDate": format_instant(document["lastAt"]),
    }
