"""Bounds the number of requests with lines that a gateway serves at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from triptych.gateway.http.errors import ApplicationFailure


class LineSlots:
    """A slot for each request; none waits for one."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a slot until the block ends.

        Raises:
            ApplicationFailure: 429, no slot is free.
        """
        if self._free <= 0:
            raise ApplicationFailure(
                429, "RESOURCE_EXHAUSTED", "too many requests with lines are open", headers={"Retry-After": "5"}
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
