"""Administers listeners and their keys. Every query names the site."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from triptych.kit.mongo.driver import ASCENDING, DESCENDING, Binary, Database, Document, IndexModel
from triptych.kit.process.clock import utc_now
from triptych.webhooks.model.keys import Format, make_key, verification_key
from triptych.webhooks.model.registration import ListenerChange, NewListener
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus, key_use_document, listener_of
from triptych.webhooks.store.sealing import STATE, Sealer

LISTENERS = "listeners"
SIGNING_KEYS = "signing_keys"
VERSION_ID = "version"


INDEXES: Mapping[str, list[IndexModel]] = {
    LISTENERS: [
        IndexModel([("siteId", ASCENDING), ("_id", ASCENDING)]),
        # A deleted listener is kept as long as its log.
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    SIGNING_KEYS: [
        IndexModel([("siteId", ASCENDING), ("format", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    STATE: [],
}


@dataclass(frozen=True, slots=True)
class Created:
    """A listener with its newest key. A shared secret is shown here and never again; a pair shows only its public half.

    The RSA pair of `wix-jwt` belongs to the site. It signs for all listeners of the site, so that an event is signed
    once for all of them.
    """

    listener: Listener
    secret: str | None
    public_key: str | None

    def to_wire(self) -> dict[str, Any]:
        """The answer to the administrator who created the listener or rotated its secret."""
        return {
            "listener": self.listener.to_wire(),
            "secret": self.secret,
            "publicKey": self.public_key,
            "verificationKey": verification_key(self.public_key),
        }


class _Key(NamedTuple):
    """A signing key: its id, the secret to show, and the public half."""

    id: str
    secret: str | None
    public_key: str | None


class ListenerRepository:
    """The listeners of all sites."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        retention: timedelta,
        clock: Callable[[], datetime] = utc_now,
        end_offsets: Callable[[], Awaitable[Mapping[int, int]]] | None = None,
    ) -> None:
        """`end_offsets` reads the end offsets of the events topic. Without it, the time of creation decides."""
        self._end_offsets = end_offsets
        self._retention = retention
        self._listeners = database[LISTENERS]
        self._keys = database[SIGNING_KEYS]
        self._state = database[STATE]
        self._sealer = sealer
        self._clock = clock

    async def create(self, site_id: str, new: NewListener) -> Created:
        """Store a listener. It gets every event published after this call returns, and none published before the call.

        Raises:
            TransientFailure: Kafka does not report the end offsets of the events topic; nothing is stored.
        """
        begins = None if self._end_offsets is None else await self._end_offsets()
        now = self._now()
        key = await self._key_for(site_id, new.format)
        document: Document = {
            "_id": str(uuid.uuid4()),
            "siteId": site_id,
            "url": new.url,
            "eventTypes": sorted(set(new.event_types)),
            "galleryIds": None if new.gallery_ids is None else sorted(set(new.gallery_ids)),
            "format": new.format.value,
            "retryProfile": new.retry_profile,
            "retryDelays": new.retry_delays,
            "timeoutSeconds": new.timeout_seconds,
            "rateLimit": new.rate_limit,
            "ordered": new.ordered,
            "description": new.description,
            "status": ListenerStatus.ACTIVE.value,
            "keys": [key_use_document(key.id)],
            "problem": None,
            "failingSince": None,
            "failedAt": None,
            "createdAt": now,
            "updatedAt": now,
            "begins": None if begins is None else {str(partition): offset for partition, offset in begins.items()},
        }
        await self._listeners.insert_one(document)
        await self._announce()
        return Created(listener_of(document), key.secret, key.public_key)

    async def get(self, site_id: str, listener_id: str) -> Listener | None:
        """One listener; None if the site has no listener with this id."""
        found = await self._listeners.find_one(_filter(site_id, listener_id))
        return None if found is None else listener_of(found)

    async def get_any(self, site_id: str, listener_id: str) -> Listener | None:
        """One listener, also if it was deleted and its log is still kept."""
        found = await self._listeners.find_one({"_id": listener_id, "siteId": site_id})
        return None if found is None else listener_of(found)

    async def list(self, site_id: str, limit: int, after: str | None = None) -> list[Listener]:
        """Listeners by id, from the next one after `after`."""
        query: Document = {"siteId": site_id, "status": {"$ne": ListenerStatus.DELETED.value}}
        if after is not None:
            query["_id"] = {"$gt": after}
        found = await self._listeners.find(query).sort([("_id", ASCENDING)]).limit(limit).to_list(None)
        return [listener_of(document) for document in found]

    async def change(self, site_id: str, listener_id: str, change: ListenerChange) -> Listener | None:
        """Change the given fields. Open deliveries use the new settings."""
        names = {
            "url": "url",
            "event_types": "eventTypes",
            "gallery_ids": "galleryIds",
            "retry_profile": "retryProfile",
            "retry_delays": "retryDelays",
            "timeout_seconds": "timeoutSeconds",
            "rate_limit": "rateLimit",
            "description": "description",
        }
        values = {stored: getattr(change, name) for name, stored in names.items() if name in change.model_fields_set}
        for name in ("eventTypes", "galleryIds"):
            if values.get(name) is not None:
                values[name] = sorted(set(values[name]))
        if "url" in values:
            values["problem"] = None  # the problem was with the old address
        return await self._update(site_id, listener_id, values)

    async def pause(self, site_id: str, listener_id: str) -> Listener | None:
        """Send nothing until the listener is resumed. Deliveries are planned and wait."""
        return await self._update(site_id, listener_id, {"status": ListenerStatus.PAUSED.value})

    async def resume(self, site_id: str, listener_id: str) -> Listener | None:
        """Resume sending to a paused or disabled listener."""
        values = {"status": ListenerStatus.ACTIVE.value, "problem": None}
        values |= {"failingSince": None, "failedAt": None}
        return await self._update(site_id, listener_id, values)

    async def delete(self, site_id: str, listener_id: str) -> bool:
        """Delete a listener; False if there is none. The relay cancels its open deliveries; the log is kept."""
        expiry = {"expiresAt": self._now() + self._retention}
        deleted = await self._update(site_id, listener_id, {"status": ListenerStatus.DELETED.value, **expiry})
        if deleted is None:
            return False
        # The pair for tokens belongs to the site. The other keys belonged to this listener only.
        exclusive = {"_id": {"$in": [use.key_id for use in deleted.keys]}, "format": {"$ne": Format.WIX_JWT.value}}
        await self._keys.update_many(exclusive, {"$set": expiry})
        return True

    async def rotate(self, site_id: str, listener_id: str, overlap: timedelta) -> Created | None:
        """Give a listener a new key. The old key stays valid for `overlap`.

        During the overlap, Standard Webhooks deliveries carry both signatures. A token has room for one signature: the
        old key's, so that the receiver has time to learn the new key.
        """
        listener = await self.get(site_id, listener_id)
        if listener is None:
            return None
        return await self._rotate_to(listener, await self._new_key(site_id, listener.format), overlap)

    async def rotate_shown(self, overlap: timedelta, site_id: str | None = None) -> AsyncIterator[Created]:
        """Give a new pair to each listener of a site, or of all sites, whose private key an earlier version has shown.

        The listeners of a site that are sent tokens get one shared pair. A second call changes nothing.
        """
        shown = {"format": {"$ne": Format.STANDARD_HMAC.value}, "isPrivate": {"$ne": True}}
        ids = {key["_id"] async for key in self._keys.find(shown, {"_id": 1})}
        site_keys: dict[str, _Key] = {}
        query: Document = {"status": {"$ne": ListenerStatus.DELETED.value}, "format": shown["format"]}
        if site_id is not None:
            query["siteId"] = site_id
        async for document in self._listeners.find(query).sort([("siteId", ASCENDING), ("_id", ASCENDING)]):
            listener = listener_of(document)
            if listener.keys[0].key_id not in ids:
                continue
            key = site_keys.get(listener.site_id) if listener.format is Format.WIX_JWT else None
            if key is None:
                key = await self._new_key(listener.site_id, listener.format)
            if listener.format is Format.WIX_JWT:
                site_keys[listener.site_id] = key
            if (rotated := await self._rotate_to(listener, key, overlap)) is not None:
                yield rotated

    async def _rotate_to(self, listener: Listener, key: "_Key", overlap: timedelta) -> Created | None:
        until = self._now() + overlap
        old = [key_use_document(use.key_id, min(use.until, until) if use.until else until) for use in listener.keys]
        kept = [use for use in old if use["until"] > self._now()]
        changed = await self._update(listener.site_id, listener.id, {"keys": [key_use_document(key.id), *kept]})
        return None if changed is None else Created(changed, key.secret, key.public_key)

    async def public_key(self, site_id: str, key_id: str) -> str | None:
        """The SPKI PEM of a key of the site; None if there is no such key or it is a shared secret."""
        found = await self._keys.find_one({"_id": key_id, "siteId": site_id}, {"publicKey": 1})
        return None if found is None else found["publicKey"]

    async def _key_for(self, site_id: str, dialect: Format) -> "_Key":
        if dialect is Format.WIX_JWT:
            found = await self._keys.find_one(
                {"siteId": site_id, "format": dialect.value}, {"publicKey": 1}, sort=[("createdAt", DESCENDING)]
            )
            if found is not None:
                return _Key(found["_id"], None, found["publicKey"])
        return await self._new_key(site_id, dialect)

    async def _new_key(self, site_id: str, dialect: Format) -> "_Key":
        key = await asyncio.to_thread(make_key, dialect)  # an RSA pair takes a tenth of a second
        key_id = str(uuid.uuid4())
        await self._keys.insert_one(
            {
                "_id": key_id,
                "siteId": site_id,
                "format": dialect.value,
                "sealed": Binary(self._sealer.seal(key.secret.encode())),
                "publicKey": key.public_key,
                "isPrivate": key.public_key is not None,
                "createdAt": self._now(),
            }
        )
        return _Key(key_id, key.secret if key.public_key is None else None, key.public_key)

    async def _update(self, site_id: str, listener_id: str, values: Mapping[str, Any]) -> Listener | None:
        found = await self._listeners.find_one_and_update(
            _filter(site_id, listener_id), {"$set": {**values, "updatedAt": self._now()}}, return_document=True
        )
        if found is None:
            return None
        await self._announce()
        return listener_of(found)

    async def _announce(self) -> None:
        """Make every relay reload the listeners before it plans the next event."""
        await announce_change(self._state.database)

    def _now(self) -> datetime:
        at = self._clock()
        return at.replace(microsecond=at.microsecond // 1000 * 1000)  # the precision of MongoDB


async def announce_change(database: Database) -> None:
    """Increment the version of the listeners, which the relay compares before each batch."""
    await database[STATE].update_one({"_id": VERSION_ID}, {"$inc": {"version": 1}}, upsert=True)


def _filter(site_id: str, listener_id: str) -> Document:
    return {"_id": listener_id, "siteId": site_id, "status": {"$ne": ListenerStatus.DELETED.value}}
