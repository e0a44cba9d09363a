"""Lets each gallery's deliveries of an ordered listener go one by one, lowest sequence first.

Of such a listener a delivery is inserted as waiting, and the first one of each gallery is promoted to pending; when it
has ended, the next one is. A unique index on the pending ones keeps two from being under way, so that promoting may be
tried by anybody at any time. Whoever inserts looks for a pending one afterwards, and whoever ends one looks for waiting
ones afterwards: one of the two sees the other.
"""

import contextlib
from collections.abc import Iterable
from datetime import datetime

from triptych.kit.mongo.driver import ASCENDING, Collection, DuplicateKeyError
from triptych.webhooks.store.delivery_documents import DeliveryStatus

_LANE = [("galleryId", ASCENDING), ("sequence", ASCENDING), ("_id", ASCENDING)]


async def promote(deliveries: Collection, listener_id: str, gallery_ids: Iterable[str], now: datetime) -> None:
    """Let the first waiting delivery of each of these galleries be sent, unless one is under way."""
    wanted = set(gallery_ids)
    heads = deliveries.find(
        {
            "listenerId": listener_id,
            "galleryId": {"$in": list(wanted)},
            "ordered": True,
            "status": DeliveryStatus.PENDING.value,
        },
        {"galleryId": 1},
    )
    wanted -= {head["galleryId"] for head in await heads.to_list(None)}
    for gallery_id in wanted:
        await _promote_first(deliveries, listener_id, {"$eq": gallery_id}, now)


async def promote_all(deliveries: Collection, listener_id: str, now: datetime) -> None:
    """The same for every gallery, after a crash may have come between an insertion or an end and its promotion."""
    last = ""
    while True:
        found = await _promote_first(deliveries, listener_id, {"$gt": last}, now)
        if found is None:
            return
        last = found


async def _promote_first(
    deliveries: Collection, listener_id: str, gallery: dict[str, str], now: datetime
) -> str | None:
    """Promote the first waiting one of the first gallery that matches; that gallery, or None if nothing waits."""
    waiting = {"listenerId": listener_id, "galleryId": gallery, "status": DeliveryStatus.WAITING.value}
    first = await deliveries.find_one(waiting, {"galleryId": 1}, sort=_LANE)
    if first is None:
        return None
    # If one of this gallery is under way, the index refuses, and its end will promote the next.
    with contextlib.suppress(DuplicateKeyError):
        await deliveries.update_one(
            {"_id": first["_id"], "status": DeliveryStatus.WAITING.value},
            {"$set": {"status": DeliveryStatus.PENDING.value, "dueAt": now}},
        )
    return str(first["galleryId"])
