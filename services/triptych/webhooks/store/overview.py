"""Counts, for operators, the deliveries that are due or dead."""

from dataclasses import dataclass
from datetime import datetime

from triptych.kit.mongo.driver import ASCENDING, Database, Document, aggregate
from triptych.webhooks.store.delivery_documents import DELIVERIES, DeliveryStatus
from triptych.webhooks.store.listener_documents import ListenerStatus
from triptych.webhooks.store.listeners import LISTENERS

COUNT_MAX = 10_000
"""The most deliveries of one listener that are counted."""


@dataclass(frozen=True, slots=True)
class DeliveriesState:
    """Deliveries of active listeners that may be sent now, when the oldest of them became due, and dead deliveries."""

    due: int
    oldest_due: datetime | None
    dead: int


async def deliveries_state(database: Database, now: datetime) -> DeliveriesState:
    """Count the deliveries of all sites. Raises the driver's errors."""
    due = {"status": DeliveryStatus.PENDING.value, "dueAt": {"$lte": now}}
    found = await aggregate(
        database[LISTENERS],
        [
            {"$project": {"status": 1}},
            _counted("due", [{"$match": due}, {"$sort": {"dueAt": ASCENDING}}], {"oldest": {"$min": "$dueAt"}}),
            _counted("dead", [{"$match": {"status": DeliveryStatus.DEAD.value}}], {}),
            {"$match": {"$or": [{"due.0": {"$exists": True}}, {"dead.0": {"$exists": True}}]}},
        ],
    )
    # Deliveries of a paused listener are due and wait on purpose.
    active = [one for row in found if row["status"] == ListenerStatus.ACTIVE.value for one in row["due"]]
    return DeliveriesState(
        due=sum(one["count"] for one in active),
        oldest_due=min((one["oldest"] for one in active), default=None),
        dead=sum(one["count"] for row in found for one in row["dead"]),
    )


def _counted(name: str, stages: list[Document], fields: Document) -> Document:
    """The stage that counts a listener's deliveries. An index that begins with the listener serves it."""
    counting = [{"$limit": COUNT_MAX}, {"$group": {"_id": None, "count": {"$sum": 1}, **fields}}]
    return {
        "$lookup": {
            "from": DELIVERIES,
            "localField": "_id",
            "foreignField": "listenerId",
            "pipeline": [*stages, *counting],
            "as": name,
        }
    }
