"""Decides how long a broker may hold back its response to a fetch.

While nothing comes, long: the first record ends the wait, so it delays nothing, and there are few requests. While much
comes, a response for each record would cost more than one for all records of a moment.
"""

import time

IDLE_WAIT_MS = 3_000
"""What is asked for on the same connection waits as long, so every request of the reader may take longer by that."""
GATHERED_BYTES = 256 * 1024
"""The broker responds at once when it has gathered this many bytes."""
CALM_SECONDS = 1.0
"""Without records for this time, nothing is gathered any more."""


class FetchPace:
    """The pace of one reader, which its records set."""

    def __init__(self, gather_ms: int) -> None:
        """`gather_ms` is how long the broker gathers records while some come."""
        self._gather_ms = gather_ms
        self._records_at = float("-inf")

    def note_records(self) -> None:
        """Note that records have come."""
        self._records_at = time.monotonic()

    def next_fetch(self) -> tuple[int, int]:
        """How long the broker may wait, in milliseconds, and the number of bytes that end the wait."""
        if time.monotonic() - self._records_at < CALM_SECONDS:
            return self._gather_ms, GATHERED_BYTES
        return IDLE_WAIT_MS, 1
