"""What a service has to be able to do with batches of records (`triptych.kit.kafka.consuming.consumer`)."""

from collections.abc import Sequence
from typing import Protocol

from triptych.kit.kafka.reading.fetched import Unreadable
from triptych.kit.kafka.reading.reader import IncomingRecord


class BatchHandler(Protocol):
    """What a service does with its records."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Prepare to own these partitions; no record of them is handled before this has succeeded."""

    async def released(self) -> None:
        """These partitions are not ours any more; nothing may be written for them."""

    async def handle(self, records: Sequence[IncomingRecord]) -> None:
        """Finish all records, which come in order per partition; safe to repeat.

        Raises:
            TransientFailure: nothing was decided, try all of them again later.
            OwnershipLost: prepare again, then try again.
        """

    async def lost(self, unreadable: Sequence[Unreadable]) -> None:
        """Take note of records that no client can read, after the others of their batch; they are dead letters now.

        Raises:
            TransientFailure, OwnershipLost: as `handle`.
        """
