"""Knows what was answered and joined until now, and measures how long work takes after a fault."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import orjson

from tests.support.chaos.history import Recovery
from tests.support.chaos.workload import Workload
from tests.support.command_mix import Sent
from tests.support.commands import structured
from tests.support.installation import PARTITIONS
from tests.support.sender import galleries_on
from tests.support.waiting import eventually

PATIENCE_SECONDS = 120.0


class Watch:
    """The last head of each gallery on the joined topic, and the ids of commands that were answered on the topic."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._galleries = galleries_on(*range(PARTITIONS))
        self._number = 0
        self.replied: set[str] = set()
        self.heads: dict[str, tuple[int, str | None] | None] = {}
        """Sequence and name by gallery; None is a tombstone."""
        self._delivered: dict[str, str | None] = {}
        """The last name of each probe's gallery in a delivery."""

    def see_reply(self, command: str) -> None:
        """A reply to this command has come."""
        self.replied.add(command)

    def see_joined(self, key: str, value: bytes | None) -> None:
        """A joined record has come."""
        if "/" not in key:
            found = None if value is None else orjson.loads(value)
            self.heads[key] = found and (found["sequence"], found["gallery"].get("name"))

    def see_delivery(self, value: dict[str, Any]) -> None:
        """A delivery of this event has succeeded."""
        if (gallery := value.get("entityId")) in self._galleries and "updatedEvent" in value:
            self._delivered[str(gallery)] = value["updatedEvent"]["currentEntity"].get("name")

    async def create_probes(self) -> None:
        """Create a gallery on each partition, for `recovery`."""
        ids = [await self._probe("CreateGallery", gallery, "new") for gallery in self._galleries]
        await self._until(lambda: self.replied >= set(ids), time.monotonic())

    async def recovery(self, since: float) -> Recovery:
        """Change a gallery on each partition, on the topic and over HTTP; the seconds since `since` until the results.

        `since` is a time of `time.monotonic`.
        """
        name = f"probe {self._number}"
        writes = [asyncio.create_task(self._workload.write_probe(gallery)) for gallery in self._galleries]
        ids = {await self._probe("UpdateGallery", gallery, name) for gallery in self._galleries}

        def are_joined() -> bool:
            heads = [self.heads.get(gallery) for gallery in self._galleries]
            return all(head is not None and head[1] == name for head in heads)

        try:
            return Recovery(
                *await asyncio.gather(
                    self._until(lambda: self.replied >= ids, since),
                    self._until(are_joined, since),
                    self._until(lambda: all(write.done() for write in writes), since),
                    self._until(lambda: all(self._delivered.get(each) == name for each in self._galleries), since),
                )
            )
        finally:
            for write in writes:
                write.cancel()
            await asyncio.gather(*writes, return_exceptions=True)

    async def _probe(self, kind: str, gallery: str, name: str) -> str:
        self._number += 1
        command_id = f"probe-{self._number}"
        value = structured(kind, {"galleryId": gallery, "gallery": {"name": name}}, id=command_id)
        await self._workload.send(Sent(gallery, command_id, value))
        return command_id

    @staticmethod
    async def _until(is_there: Callable[[], bool], since: float) -> float | None:
        async def look() -> bool:
            return is_there()

        with contextlib.suppress(AssertionError):
            await eventually(look, "recovery", deadline_seconds=PATIENCE_SECONDS)
            return time.monotonic() - since
        return None
