"""Defines the listener: its document in MongoDB, its form in memory, and its form for administrators."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from triptych.contract.base import format_instant
from triptych.kit.mongo.driver import Document
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.retries import RetryProfile


class ListenerStatus(StrEnum):
    """The state of a listener."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Deliveries are planned and wait."""
    DISABLED = "disabled"
    """The relay disabled the listener because it fails or answered 410. Its deliveries are stored as cancelled."""
    DELETED = "deleted"


CLOCKS_DIFFER = timedelta(minutes=5)
"""The largest difference between the clocks of two machines."""


@dataclass(frozen=True, slots=True)
class Published:
    """The position of a record on the events topic, and its time on the producer's clock, if it has one."""

    partition: int
    offset: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key that signs a listener's deliveries. A replaced key signs until a moment."""

    key_id: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listener:
    """An external subscriber. Delays and timeout are in seconds. The rate limit is in deliveries a second."""

    id: str
    site_id: str
    url: str
    event_types: frozenset[str]
    gallery_ids: frozenset[str] | None
    format: Format
    retry_profile: RetryProfile
    retry_delays: tuple[float, ...]
    timeout_seconds: float
    rate_limit: float | None
    ordered: bool
    description: str
    status: ListenerStatus
    keys: tuple[KeyUse, ...]
    """Newest first."""
    problem: str | None
    """Why the listener is disabled, or what an administrator should know."""
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    begins: Mapping[int, int] | None = None
    """The offset of the first event that may be for the listener, by partition: the end offset before its creation.
    A partition without an entry did not exist yet. None for listeners of earlier versions."""

    def is_older_than(self, published: "Published") -> bool:
        """Whether the listener existed when an event was published, so that the event may be for it.

        Offsets decide exactly, until the topic is created again and counts from 0. So an event that is later on any
        clock is always newer. Where no offsets are known, an event is newer unless it is earlier on any clock.
        """
        if published.at is not None and published.at >= self.created_at + CLOCKS_DIFFER:
            return True
        if self.begins is None:
            return published.at is None or published.at >= self.created_at - CLOCKS_DIFFER
        return published.offset >= self.begins.get(published.partition, 0)

    def wants(self, site_id: str, event_type: str, gallery_id: str) -> bool:
        """Whether an event is for this listener: of its site, types and galleries (contract, section 7.4)."""
        return (
            site_id == self.site_id
            and event_type in self.event_types
            and (self.gallery_ids is None or gallery_id in self.gallery_ids)
        )

    def to_wire(self) -> dict[str, Any]:
        """The listener as administrators see it, without secrets."""
        return {
            "id": self.id,
            "url": self.url,
            "eventTypes": sorted(self.event_types),
            "galleryIds": None if self.gallery_ids is None else sorted(self.gallery_ids),
            "format": self.format.value,
            "retryProfile": self.retry_profile.value,
            "retryDelays": list(self.retry_delays),
            "timeoutSeconds": self.timeout_seconds,
            "rateLimit": self.rate_limit,
            "ordered": self.ordered,
            "description": self.description,
            "status": self.status.value,
            "problem": self.problem,
            "failingSince": None if self.failing_since is None else format_instant(self.failing_since),
            "keyIds": [use.key_id for use in self.keys],
            "createdDate": format_instant(self.created_at),
            "updatedDate": format_instant(self.updated_at),
        }


def listener_of(document: Mapping[str, Any]) -> Listener:
    """The listener of a stored document."""
    galleries = document["galleryIds"]
    begins = document.get("begins")
    return Listener(
        id=document["_id"],
        site_id=document["siteId"],
        url=document["url"],
        event_types=frozenset(document["eventTypes"]),
        gallery_ids=None if galleries is None else frozenset(galleries),
        format=Format(document["format"]),
        retry_profile=RetryProfile(document["retryProfile"]),
        retry_delays=tuple(document["retryDelays"]),
        timeout_seconds=document["timeoutSeconds"],
        rate_limit=document["rateLimit"],
        ordered=document["ordered"],
        description=document["description"],
        status=ListenerStatus(document["status"]),
        keys=tuple(KeyUse(use["keyId"], use["until"]) for use in document["keys"]),
        problem=document["problem"],
        failing_since=document["failingSince"],
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
        begins=None if begins is None else {int(partition): offset for partition, offset in begins.items()},
    )


def key_use_document(key_id: str, until: datetime | None = None) -> Document:
    """The use of a key, as stored in its listener."""
    return {"keyId": key_id, "until": until}
