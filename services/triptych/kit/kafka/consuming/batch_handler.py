"""The interface that a service implements to handle batches (`triptych.kit.kafka.consuming.consumer`)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord


class BatchHandler(Protocol):
    """A service's handling of its records."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Prepare to own these partitions. None of their records is handled before this has succeeded."""

    async def released(self) -> None:
        """Take note that the partitions are not ours any more. Nothing may be written for them."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Finish all records, which are in order per partition. Must be safe to repeat.

        The consumer may handle the records of other partitions concurrently (`Lanes`), never those of the same ones.

        Raises:
            TransientFailure: nothing was decided; all records are handled again later.
            OwnershipLost: the partitions have to be prepared again before the records are handled again.
        """

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Take note of records that no client can read. They are dead letters now; the rest of their batch is finished.

        Raises:
            TransientFailure, OwnershipLost: as `handle`.
        """


class Gate(Protocol):
    """Decides which partitions of a consumer have to wait, because others have to be finished first."""

    async def held(self, partitions: frozenset[int]) -> Mapping[int, str]:
        """The partitions that must not be handled yet, with the reason. Called before partitions are prepared.

        Raises:
            TransientFailure: nothing may be prepared now.
        """


class OpenGate:
    """A gate at which no partition waits."""

    async def held(self, partitions: frozenset[int]) -> Mapping[int, str]:  # noqa: ARG002
        """Hold nothing."""
        return {}
