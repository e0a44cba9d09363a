"""API keys: made at random, stored as hashes, looked up by hash, remembered for a few seconds, revoked."""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from triptych.contract.identity import SITE_ID_FORM, is_site_id
from triptych.kit.mongo.driver import ASCENDING, Database, IndexModel

API_KEYS = "api_keys"
INDEXES: Mapping[str, list[IndexModel]] = {API_KEYS: []}
REMEMBERED_MAX = 10_000
KEY_PREFIX = "tk_"
"""Lets scanners for leaked secrets recognise a key."""
KEY_BYTES = 32


class Scope(StrEnum):
    """What a key allows (contract, section 1.5)."""

    READ = "read"
    MANAGE = "manage"
    LISTENERS = "listeners"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a key stands for. Without a site it acts for any that the request names."""

    key_id: str
    site_id: str | None
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key as it is listed; `key_id` names it without telling it."""

    key_id: str
    name: str
    site_id: str | None
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


class Keys:
    """Looks keys up. Only keys that exist are remembered, so a new key works at once."""

    def __init__(
        self, database: Database, remember_for: timedelta, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._collection = database[API_KEYS]
        self._seconds = remember_for.total_seconds()
        self._clock = clock
        self._remembered: dict[str, tuple[float, ApiKey]] = {}

    async def find(self, key: str) -> ApiKey | None:
        """What `key` stands for, or None if it is unknown or revoked.

        The comparison takes place between hashes, in an index: its timing tells nothing about a stored key.
        """
        hashed = hash_key(key)
        remembered = self._remembered.get(hashed)
        if remembered is not None and remembered[0] > self._clock():
            return remembered[1]
        self._remembered.pop(hashed, None)
        found = await self._collection.find_one({"_id": hashed, "revokedAt": None}, {"siteId": 1, "scopes": 1})
        if found is None:
            return None
        api_key = ApiKey(hashed, found["siteId"], frozenset(found["scopes"]))
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[hashed] = (self._clock() + self._seconds, api_key)
        return api_key


def hash_key(key: str) -> str:
    """How a key is stored. Keys are random and long, so a fast hash without salt is enough."""
    return sha256(key.encode()).hexdigest()


async def store_key(database: Database, key: str, *, site_id: str | None, scopes: Iterable[str], name: str) -> None:
    """Let `key` be used; storing it again changes what it stands for, and does not bring a revoked one back.

    Raises:
        ValueError: one of `scopes` is not a `Scope`, or `site_id` is not the id of a site.
    """
    if site_id is not None and not is_site_id(site_id):
        raise ValueError(f"the id of a site is {SITE_ID_FORM}")
    await database[API_KEYS].update_one(
        {"_id": hash_key(key)},
        {
            "$set": {"siteId": site_id, "scopes": sorted({Scope(scope).value for scope in scopes}), "name": name},
            "$setOnInsert": {"createdAt": datetime.now(UTC)},
        },
        upsert=True,
    )


def new_key() -> str:
    """A key that nobody can guess."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


async def list_keys(database: Database) -> list[KeyEntry]:
    """All keys, revoked ones too, oldest first."""
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
    """Let no request in with this key any more, once gateways have forgotten it; whether there is such a key."""
    result = await database[API_KEYS].update_one(
        {"_id": key_id}, [{"$set": {"revokedAt": {"$ifNull": ["$revokedAt", datetime.now(UTC)]}}}]
    )
    return result.matched_count == 1
