"""Knows all listeners and their keys, as current as the last change that was answered to an administrator."""

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
    """Listeners in memory; `refresh` reads them anew if anything has changed since the last time."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._version: int | None = None
        self._lock = asyncio.Lock()
        self._keys: dict[str, SigningKey] = {}
        self._by_site: dict[str, list[Listener]] = {}
        self.listeners: dict[str, Listener] = {}
        """All by id, those deleted included."""

    async def refresh(self) -> bool:
        """See every change made before this call; whether there was one.

        Raises:
            TransientFailure: a key cannot be opened with the key of the settings. The driver's errors besides.
        """
        async with self._lock:
            # The version first: a change while reading makes the next call read again.
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
        """The listeners of a site, whatever their status, without deleted ones."""
        return self._by_site.get(site_id, ())

    def keys_of(self, listener: Listener, now: datetime) -> list[SigningKey]:
        """The keys that count at `now`, newest first; of those for tokens only one, the one to sign with."""
        current = [self._keys[use.key_id] for use in listener.keys if use.until is None or use.until > now]
        # A token has room for one signature: the old key signs until the receiver has had time to learn the new one.
        return current[-1:] if listener.format is Format.WIX_JWT else current

    async def _read_keys(self, key_ids: set[str]) -> None:
        missing = list(key_ids - self._keys.keys())
        async for found in self._database[SIGNING_KEYS].find({"_id": {"$in": missing}}):
            try:
                secret = self._sealer.open(bytes(found["sealed"])).decode()
            except ValueError:
                # Perhaps another process has been given a new key first; until then no event may pass unplanned.
                raise TransientFailure(
                    f"signing key {found['_id']} does not open; is TRIPTYCH_SECRETS_KEY the same in all processes?"
                ) from None
            self._keys[found["_id"]] = read_key(found["_id"], Format(found["format"]), secret)
