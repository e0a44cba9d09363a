"""Orders the deliveries of an ordered listener: one at a time for each gallery, lowest sequence first.

Each such delivery is inserted as waiting. The first delivery of each gallery is promoted to pending; when it has ended,
the next one is promoted. A unique index allows one pending delivery for each gallery, so any process may promote at any
time. An insert and an outcome can happen at the same time: each promotes afterwards, and at least one sees the other.
"""

import contextlib
from collections.abc import Iterable
from datetime import datetime

from triptych.kit.mongo.driver import ASCENDING, Collection, DuplicateKeyError
from triptych.kit.mongo.routers import within
from triptych.webhooks.store.delivery_documents import DeliveryStatus

_LANE = [("galleryId", ASCENDING), ("sequence", ASCENDING), ("_id", ASCENDING)]


async def promote(deliveries: Collection, listener_id: str, gallery_ids: Iterable[str], now: datetime) -> None:
    """Promote the first waiting delivery of each of these galleries, unless one is pending."""
    wanted = set(gallery_ids)
    pending = deliveries.find(
        {
            "listenerId": listener_id,
            "galleryId": {"$in": list(wanted)},
            "ordered": True,
            "status": DeliveryStatus.PENDING.value,
        },
        {"galleryId": 1},
    )
    wanted -= {delivery["galleryId"] for delivery in await pending.to_list(None)}
    for gallery_id in wanted:
        await _promote_first(deliveries, listener_id, {"$eq": gallery_id}, now)


async def promote_all(deliveries: Collection, listener_id: str, now: datetime) -> None:
    """Promote in every gallery. A crash may have come between an insert or an outcome and its promotion."""
    last = ""
    while True:
        found = await _promote_first(deliveries, listener_id, {"$gt": last}, now)
        if found is None:
            return
        last = found


async def _promote_first(
    deliveries: Collection, listener_id: str, gallery: dict[str, str], now: datetime
) -> str | None:
    """Promote the first waiting delivery of the first matching gallery; the gallery, or None if nothing waits."""
    waiting = {"listenerId": listener_id, "galleryId": gallery, "status": DeliveryStatus.WAITING.value}
    first = await deliveries.find_one(waiting, {"galleryId": 1}, sort=_LANE)
    if first is None:
        return None
    # If a delivery of this gallery is pending, the index refuses the update. Its outcome will promote the next one.
    with contextlib.suppress(DuplicateKeyError):
        await deliveries.update_one(
            within(
                deliveries.database,
                {"_id": first["_id"], "status": DeliveryStatus.WAITING.value},
                listenerId=listener_id,
            ),
            {"$set": {"status": DeliveryStatus.PENDING.value, "dueAt": now}},
        )
    return str(first["galleryId"])
