"""Reads how listeners of a site do: their latest attempts, and how many of their deliveries wait.

One query reads all of it, for a page of listeners. Each part has an index that begins with the listener, and a limit,
so the cost does not grow with the deliveries.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triptych.contract.base import format_instant
from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Database, Document, aggregate
from triptych.kit.process.clock import utc_now
from triptych.webhooks.model.delivery import ListenerResponse, is_success
from triptych.webhooks.model.health import ATTEMPTS_MAX, Answers, Attempt, answers_of
from triptych.webhooks.model.keys import Format
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus
from triptych.webhooks.store.listener_documents import ListenerStatus
from triptych.webhooks.store.listeners import LISTENERS
from triptych.webhooks.store.relays import WORKERS

COUNT_MAX = 1_000
"""The most deliveries of one kind that are counted for a listener."""

_PENDING = {"status": DeliveryStatus.PENDING.value}
_ENDED = {"status": {"$in": [DeliveryStatus.DELIVERED.value, DeliveryStatus.DEAD.value]}}
_SAMPLE: Sequence[Document] = [
    {"$limit": ATTEMPTS_MAX},
    {"$project": {"_id": 0, "log.at": 1, "log.status": 1, "log.seconds": 1}},
]


@dataclass(frozen=True, slots=True)
class Queue:
    """How many deliveries of a listener wait, up to `COUNT_MAX` of each kind."""

    due: int
    """May be sent now."""
    oldest_due: datetime | None
    later: int
    """In flight, or wait for their next attempt."""
    next_attempt: datetime | None
    waiting: int
    """Wait for an earlier event of their gallery."""
    dead: int
    """Have ended without success, those sent again included."""


@dataclass(frozen=True, slots=True)
class ListenerHealth:
    """How one listener answers, and what waits for it."""

    listener_id: str
    answers: Answers
    queue: Queue

    def to_wire(self) -> dict[str, Any]:
        """The health as administrators see it."""
        answers, queue = self.answers, self.queue
        return {
            "listenerId": self.listener_id,
            "circuit": answers.circuit.value,
            "attempts": answers.attempts,
            "succeeded": answers.succeeded,
            "p95Seconds": answers.p95_seconds,
            "sinceDate": _wire_date(answers.since),
            "due": queue.due,
            "oldestDueDate": _wire_date(queue.oldest_due),
            "later": queue.later,
            "nextAttemptDate": _wire_date(queue.next_attempt),
            "waiting": queue.waiting,
            "dead": queue.dead,
        }


class HealthReader:
    """The health of the listeners of all sites. Every query names one site."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, site_id: str, listener_ids: Sequence[str]) -> list[ListenerHealth]:
        """The health of these listeners of a site, by id. Raises the driver's errors."""
        now = utc_now()
        found = await aggregate(self._database[LISTENERS], health_stages(site_id, listener_ids, now))
        return [_health_of(row) for row in found]

    async def has_relay(self) -> bool:
        """Whether a relay is running, by the rows that relays renew. Raises the driver's errors."""
        found = await self._database[WORKERS].find_one({"$expr": {"$gt": ["$until", "$$NOW"]}}, {"_id": 1})
        return found is not None


def health_stages(site_id: str, listener_ids: Sequence[str], now: datetime) -> list[Document]:
    """The stages of the query."""
    due, later = {**_PENDING, "dueAt": {"$lte": now}}, {**_PENDING, "dueAt": {"$gt": now}}
    by_id, by_time = {"$sort": {"_id": DESCENDING}}, {"$sort": {"dueAt": ASCENDING}}
    return [
        {"$match": {"siteId": site_id, "_id": {"$in": list(listener_ids)}}},
        {"$sort": {"_id": ASCENDING}},
        {"$project": {"format": 1, "status": 1}},
        _looked_up("due", [{"$match": due}, by_time, *_counted({"first": {"$min": "$dueAt"}})]),
        _looked_up("later", [{"$match": later}, by_time, *_counted({"first": {"$min": "$dueAt"}})]),
        _looked_up("waiting", [{"$match": {"status": DeliveryStatus.WAITING.value}}, *_counted({})]),
        _looked_up("dead", [{"$match": {"status": DeliveryStatus.DEAD.value}}, *_counted({})]),
        _looked_up("ended", [{"$match": _ENDED}, by_id, *_SAMPLE]),
        # A listener that fails for days has deliveries that have not ended. Those to be tried last were tried last.
        _looked_up("tried", [{"$match": later}, {"$sort": {"dueAt": DESCENDING}}, *_SAMPLE]),
    ]


def _counted(fields: Document) -> list[Document]:
    return [{"$limit": COUNT_MAX}, {"$group": {"_id": None, "count": {"$sum": 1}, **fields}}]


def _looked_up(name: str, stages: Sequence[Document]) -> Document:
    lookup = {"from": DELIVERIES, "localField": "_id", "foreignField": "listenerId"}
    return {"$lookup": {**lookup, "pipeline": list(stages), "as": name}}


def _health_of(row: Mapping[str, Any]) -> ListenerHealth:
    counted: dict[str, Document] = {name: next(iter(row[name]), {}) for name in ("due", "later", "waiting", "dead")}
    is_disabled = row["status"] == ListenerStatus.DISABLED.value
    queue = Queue(
        due=counted["due"].get("count", 0),
        oldest_due=counted["due"].get("first"),
        later=counted["later"].get("count", 0),
        next_attempt=counted["later"].get("first"),
        waiting=counted["waiting"].get("count", 0),
        dead=counted["dead"].get("count", 0),
    )
    return ListenerHealth(row["_id"], answers_of(_attempts_of(row), is_disabled=is_disabled), queue)


def _attempts_of(row: Mapping[str, Any]) -> Iterator[Attempt]:
    dialect = Format(row["format"])
    for delivery in (*row["ended"], *row["tried"]):
        for one in delivery["log"]:
            yield Attempt(one["at"], is_success(ListenerResponse(one["status"]), dialect), one["seconds"])


def _wire_date(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)
