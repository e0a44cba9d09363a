"""Offsets of topics and groups, as the simulated services ask for them."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.errors import KafkaError

from tests.support.simulation.kafka.broker import Broker
from tests.support.simulation.kafka.topics import describe
from triptych.kit.kafka.errors import no_answer


class Offsets:
    """Instead of `TopicOffsets` and `GroupOffsets`."""

    def __init__(self, broker: Broker, name: str, group: str = "") -> None:
        self._broker = broker
        self.name = name
        self.group = group

    async def __aenter__(self) -> "Offsets":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the client."""

    async def topic_id(self) -> uuid.UUID:
        """The id of the topic. Raises TransientFailure."""
        try:
            facts = (await describe(self._broker, [self.name]))[self.name]
        except KafkaError as error:
            raise no_answer(error) from error
        assert facts is not None
        return facts.topic_id

    async def all_ends(self) -> dict[int, int]:
        """The offset after the last record of each partition that the topic has."""
        return await self._call(lambda: {one: log.end for one, log in enumerate(self._broker.topics[self.name])})

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Set offsets of the group, which must have no members. Raises TransientFailure."""
        wanted = dict(offsets)

        def work() -> dict[int, int]:
            self._broker.group(self.group, self.name).commit_from_outside(wanted)
            return {}

        await self._call(work)

    async def beginnings(self, partitions: Any) -> dict[int, int]:
        """The first offset of each partition."""
        return await self._call(lambda: {one: self._broker.topics[self.name][one].beginning for one in partitions})

    async def ends(self, partitions: Any) -> dict[int, int]:
        """The offset after the last record of each partition."""
        partitions = list(partitions)
        return await self._call(lambda: {one: self._broker.topics[self.name][one].end for one in partitions})

    async def committed(self) -> dict[int, int]:
        """The offsets that the group has committed."""
        return await self._call(lambda: dict(self._broker.group(self.group, self.name).offsets))

    async def _call(self, work: Callable[[], dict[int, int]]) -> dict[int, int]:
        try:
            return await self._broker.call(work)
        except KafkaError as error:
            raise no_answer(error) from error
