"""Stores how many partitions the topics of an installation have, and lets processes follow a change (decision 40).

One document has the number. Without the document, it is that of the settings. Only `triptych partitions grow` changes
the number: it lets nobody write for a moment (`stop`), and claims all partitions meanwhile. A process reads the
document, claims its partitions, and reads the document again (`LayoutOfConsumer.confirm`). So a process that claimed
before the stop is fenced, and a process that claims later sees the stop or the new number.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from triptych.kit.failures import StartRefused, TransientFailure
from triptych.kit.kafka.layout import Growth, Layout, TopicEnds
from triptych.kit.mongo.driver import Database, Document, aggregate
from triptych.kit.process.settings import KitSettings

SettingsT = TypeVar("SettingsT", bound=KitSettings)
COLLECTION = "partition_layout"
_ID = "layout"
STOP_SECONDS = 30.0
"""How long a stop lasts at most. A stop that takes longer changes nothing, and processes continue as before."""


class StopLost(TransientFailure):
    """The stop took too long. Nothing was changed, and the number of partitions is the former one."""


class Phase(StrEnum):
    """How far the topic of states, which is compacted, has followed a growth."""

    GROWN = "grown"
    """The new number counts for what is published from now on."""
    PUBLISHING = "publishing"
    """Everything is being published again: the former partitions have records of keys that have moved."""
    PUBLISHED = "published"
    """Everything is published again. The records from before are left for consumers that are behind."""
    TRIMMED = "trimmed"
    """The records from before are deleted."""


@dataclass(frozen=True, slots=True)
class States:
    """The topic of states after a growth.

    Attributes:
        former, partitions: those of the growth.
        phase: how far the topic has followed.
        configuration: the topic's own configuration before the growth, by name, where it was changed; None if unset.
        claimed_by: names the claims that ended all others at the growth.
        topic_id: its id; None before it is published again.
        offsets: the records before these offsets, by former partition, are replaced by those that are published again.
        published_at: when everything was published again.
    """

    former: int
    partitions: int
    phase: Phase
    configuration: Mapping[str, str | None]
    claimed_by: str
    topic_id: str | None = None
    offsets: Mapping[int, int] = field(default_factory=dict)
    published_at: datetime | None = None


class StoredLayout:
    """The stored layout of one installation; all methods raise the driver's errors."""

    def __init__(self, database: Database, partitions: int) -> None:
        """`partitions` is the number of the settings, which counts until partitions are added."""
        self._layouts = database[COLLECTION]
        self._default = partitions

    async def read(self) -> Layout:
        """The layout now."""
        documents = await aggregate(
            self._layouts, [{"$match": {"_id": _ID}}, {"$set": {"isStopped": {"$gt": ["$growing.until", "$$NOW"]}}}]
        )
        return _layout_of(documents[0]) if documents else Layout(self._default)

    async def begin(self, partitions: int) -> None:
        """Announce that topics get this number of partitions. Raises StartRefused if they are getting another one."""
        await self._layouts.update_one({"_id": _ID}, {"$setOnInsert": {"partitions": self._default}}, upsert=True)
        begun = await self._layouts.update_one(
            {"_id": _ID, "growing.to": {"$in": [None, partitions]}}, {"$set": {"growing.to": partitions}}
        )
        if not begun.matched_count:
            growing = (await self.read()).growing_to
            raise StartRefused(
                f"Partitions are being added already, to reach {growing}. Run it again with that number."
            )

    async def keep(self, partitions: int, configuration: Mapping[str, str | None]) -> None:
        """Store the former configuration of the topic of states, unless this growth has stored it before."""
        await self._layouts.update_one(
            {"_id": _ID, "growing.to": partitions, "growing.configuration": None},
            {"$set": {"growing.configuration": [[name, value] for name, value in configuration.items()]}},
        )

    async def stop(self) -> str:
        """Let nobody write, for `STOP_SECONDS` at most; the result is the token to end the stop with."""
        token = str(uuid.uuid4())
        until = {"$add": ["$$NOW", int(STOP_SECONDS * 1000)]}
        await self._layouts.update_one({"_id": _ID}, [{"$set": {"growing.token": token, "growing.until": until}}])
        return token

    async def resume(self, token: str) -> None:
        """End a stop without a change."""
        await self._layouts.update_one(
            {"_id": _ID, "growing.token": token}, {"$unset": {"growing.token": "", "growing.until": ""}}
        )

    async def grow(self, token: str, growth: Growth, claimed_by: str) -> None:
        """Let the growth take effect, and end the stop; `claimed_by` names the claims that ended all others.

        Raises:
            StopLost: the stop took too long.
        """
        ends = {
            name: {"topicId": ends.topic_id, "offsets": {str(one): offset for one, offset in ends.offsets.items()}}
            for name, ends in growth.ends.items()
        }
        entry = {
            "former": growth.former,
            "partitions": growth.partitions,
            "ends": {"$literal": ends},
            "at": "$$NOW",
            "states": {"phase": Phase.GROWN.value, "configuration": "$growing.configuration", "claimedBy": claimed_by},
        }
        grown = await self._layouts.update_one(
            {"_id": _ID, "growing.token": token, "$expr": {"$gt": ["$growing.until", "$$NOW"]}},
            [
                {
                    "$set": {
                        "partitions": growth.partitions,
                        "growths": {"$concatArrays": [{"$ifNull": ["$growths", []]}, [entry]]},
                    }
                },
                {"$unset": "growing"},
            ],
        )
        if not grown.matched_count:
            raise StopLost("adding partitions took too long; nothing was changed. Run it again")

    async def states(self) -> States | None:
        """How far the topic of states has followed the last growth; None if there was none."""
        found = await self._layouts.find_one({"_id": _ID})
        if found is None or not found.get("growths"):
            return None
        growth = found["growths"][-1]
        states = growth["states"]
        return States(
            growth["former"],
            growth["partitions"],
            Phase(states["phase"]),
            dict(states.get("configuration") or ()),
            states["claimedBy"],
            states.get("topicId"),
            {int(one): offset for one, offset in states.get("offsets", {}).items()},
            states.get("publishedAt"),
        )

    async def advance(self, states: States) -> None:
        """Store how far the topic of states has followed a growth."""
        fields = {
            "phase": states.phase.value,
            "configuration": [[name, value] for name, value in states.configuration.items()],
            "claimedBy": states.claimed_by,
            "topicId": states.topic_id,
            "offsets": {str(one): offset for one, offset in states.offsets.items()},
            "publishedAt": states.published_at,
        }
        await self._layouts.update_one(
            {"_id": _ID, "growths.partitions": states.partitions}, {"$set": {"growths.$.states": fields}}
        )


async def with_stored_layout(settings: SettingsT, database: Database) -> SettingsT:
    """The settings with the number of partitions that is in use. Raises the driver's errors."""
    layout = await StoredLayout(database, settings.topic_partitions).read()
    return settings.model_copy(update={"topic_partitions": layout.partitions})


def _layout_of(document: Document) -> Layout:
    growths = tuple(_growth_of(entry) for entry in document.get("growths", ()))
    growing: Mapping[str, Any] = document.get("growing") or {}
    return Layout(document["partitions"], growths, growing.get("to"), bool(document.get("isStopped")))


def _growth_of(entry: Mapping[str, Any]) -> Growth:
    ends = {
        name: TopicEnds(found["topicId"], {int(one): offset for one, offset in found["offsets"].items()})
        for name, found in entry["ends"].items()
    }
    return Growth(entry["former"], entry["partitions"], ends)
