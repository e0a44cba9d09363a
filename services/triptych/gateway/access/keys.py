"""Owns the API keys: generates them at random, stores their hashes, looks them up by hash, caches and revokes them."""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from triptych.contract.identity import SITE_ID_FORM, is_site_id
from triptych.kit.mongo.driver import ASCENDING, Database, IndexModel
from triptych.kit.process.clock import utc_now

API_KEYS = "api_keys"
INDEXES: Mapping[str, list[IndexModel]] = {API_KEYS: []}
CACHED_MAX = 10_000
KEY_PREFIX = "tk_"
"""By this prefix, scanners for leaked secrets recognise a key."""
KEY_BYTES = 32
KEY_ID_SHOWN = 16
"""Characters of a key's id that are shown, as in a source: enough to distinguish keys, and too few to recover a key."""


class Scope(StrEnum):
    """What a key allows its owner to do (contract, section 1.5)."""

    READ = "read"
    MANAGE = "manage"
    LISTENERS = "listeners"
    DEAD_LETTERS = "dead-letters"
    """Read and replay refused records of all sites. A key of a site is refused nevertheless."""
    OPERATE = "operate"
    """See how the whole installation is. A key of a site is refused nevertheless."""


OF_ALL_SITES = frozenset({Scope.DEAD_LETTERS, Scope.OPERATE})
"""Scopes that are about all sites, so that a key of a site cannot have them."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key that is not revoked. If it has no site, each request names one."""

    key_id: str
    site_id: str | None
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key in the list of keys; `key_id` identifies the key and does not reveal it."""

    key_id: str
    name: str
    site_id: str | None
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


class Keys:
    """Looks up keys. Only keys that exist are cached, so a new key works at once."""

    def __init__(self, database: Database, cache_for: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._collection = database[API_KEYS]
        self._seconds = cache_for.total_seconds()
        self._clock = clock
        self._cached: dict[str, tuple[float, ApiKey]] = {}

    async def find(self, key: str) -> ApiKey | None:
        """The stored key, or None if `key` is unknown or revoked.

        MongoDB compares hashes in an index, so the time that it takes reveals nothing about a stored key.
        """
        hashed = hash_key(key)
        cached = self._cached.get(hashed)
        if cached is not None and cached[0] > self._clock():
            return cached[1]
        self._cached.pop(hashed, None)
        found = await self._collection.find_one({"_id": hashed, "revokedAt": None}, {"siteId": 1, "scopes": 1})
        if found is None:
            return None
        api_key = ApiKey(hashed, found["siteId"], frozenset(found["scopes"]))
        if len(self._cached) >= CACHED_MAX:
            self._cached.pop(next(iter(self._cached)))
        self._cached[hashed] = (self._clock() + self._seconds, api_key)
        return api_key


def source_of(key_id: str) -> str:
    """The source of the commands of a key."""
    return f"triptych/gateway/{shown_id(key_id)}"


def shown_id(key_id: str) -> str:
    """The id of a key as its owner sees it. `triptych keys revoke` takes it."""
    return key_id[:KEY_ID_SHOWN]


def hash_key(key: str) -> str:
    """The form in which a key is stored. Keys are random and long, so a fast hash without salt is enough."""
    return sha256(key.encode()).hexdigest()


async def store_key(database: Database, key: str, *, site_id: str | None, scopes: Iterable[str], name: str) -> None:
    """Store `key`. If it is stored already, its site, scopes and name are replaced; a revoked key stays revoked.

    Raises:
        ValueError: one of `scopes` is not a `Scope`, or `site_id` is not a valid site id.
    """
    if site_id is not None and not is_site_id(site_id):
        raise ValueError(f"the id of a site is {SITE_ID_FORM}")
    await database[API_KEYS].update_one(
        {"_id": hash_key(key)},
        {
            "$set": {"siteId": site_id, "scopes": sorted({Scope(scope).value for scope in scopes}), "name": name},
            "$setOnInsert": {"createdAt": utc_now()},
        },
        upsert=True,
    )


def new_key() -> str:
    """A new random key."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


async def list_keys(database: Database) -> list[KeyEntry]:
    """All keys, including revoked ones, oldest first."""
    found = await database[API_KEYS].find({}).sort([("createdAt", ASCENDING), ("_id", ASCENDING)]).to_list(None)
    return [
        KeyEntry(
            key_id=document["_id"],
            name=document["name"],
            site_id=document["siteId"],
            scopes=tuple(document["scopes"]),
            created_at=document["createdAt"],
            revoked_at=document.get("revokedAt"),
        )
        for document in found
    ]


async def revoke_key(database: Database, key_id: str) -> bool:
    """Revoke a key; gateways refuse it as soon as it has left their caches. Returns whether the key exists."""
    result = await database[API_KEYS].update_one(
        {"_id": key_id}, [{"$set": {"revokedAt": {"$ifNull": ["$revokedAt", utc_now()]}}}]
    )
    return result.matched_count == 1
