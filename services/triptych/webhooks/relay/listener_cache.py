"""Caches all listeners and their keys, and reloads them after a change."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from triptych.kit.failures import TransientFailure
from triptych.kit.mongo.driver import Database
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.signing import SigningKey, read_key
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus, listener_of
from triptych.webhooks.store.listeners import LISTENERS, SIGNING_KEYS, VERSION_ID
from triptych.webhooks.store.sealing import STATE, Sealer


class ListenerCache:
    """All listeners in memory. `refresh` reads them again if anything has changed since the last time."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._version: int | None = None
        self._lock = asyncio.Lock()
        self._keys: dict[str, SigningKey] = {}
        self._by_site: dict[str, list[Listener]] = {}
        self.listeners: dict[str, Listener] = {}
        """All listeners by id, deleted ones included."""

    async def refresh(self) -> bool:
        """Load every change that was answered before this call; whether there was one.

        Raises:
            TransientFailure: a signing key cannot be decrypted under the secrets key.
            PyMongoError: the driver's errors.
        """
        async with self._lock:
            # Read the version first: then a change during this read makes the next call read again.
            state = await self._database[STATE].find_one({"_id": VERSION_ID})
            version = 0 if state is None else int(state["version"])
            if version == self._version:
                return False
            found = [listener_of(document) async for document in self._database[LISTENERS].find({})]
            await self._read_keys({use.key_id for listener in found for use in listener.keys})
            by_site: dict[str, list[Listener]] = defaultdict(list)
            for listener in found:
                if listener.status is not ListenerStatus.DELETED:
                    by_site[listener.site_id].append(listener)
            self.listeners = {listener.id: listener for listener in found}
            self._by_site = dict(by_site)
            self._version = version
            return True

    def of_site(self, site_id: str) -> Sequence[Listener]:
        """The listeners of a site in any status, except deleted ones."""
        return self._by_site.get(site_id, ())

    def keys_of(self, listener: Listener, now: datetime) -> list[SigningKey]:
        """The keys that are valid at `now`, newest first; for tokens only the one that signs."""
        current = [self._keys[use.key_id] for use in listener.keys if use.until is None or use.until > now]
        # A token has one signature: the old key signs during the overlap, so that the receiver can learn the new one.
        return current[-1:] if listener.format is Format.WIX_JWT else current

    async def _read_keys(self, key_ids: set[str]) -> None:
        missing = list(key_ids - self._keys.keys())
        async for found in self._database[SIGNING_KEYS].find({"_id": {"$in": missing}}):
            try:
                secret = self._sealer.open(bytes(found["sealed"])).decode()
            except ValueError:
                # Another process may have got a new secrets key first. Planning waits for it: no event may be skipped.
                raise TransientFailure(
                    f"signing key {found['_id']} does not open; is TRIPTYCH_SECRETS_KEY the same in all processes?"
                ) from None
            self._keys[found["_id"]] = read_key(found["_id"], Format(found["format"]), secret)
