"""Limits the request rate of each API key with a token bucket (contract, section 5: 429 RESOURCE_EXHAUSTED)."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from triptych.gateway.http.errors import ApplicationFailure

BUCKETS_MAX = 10_000


class RateLimit:
    """Allows each key `per_minute` requests a minute, with a burst of the same size. Each gateway counts on its own."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # By key: the tokens, and when they were counted. The least recently used bucket comes first; it is full again
        # when it is dropped.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key_id: str) -> None:
        """Count a request.

        Raises:
            ApplicationFailure: 429, with the seconds to wait in Retry-After.
        """
        if self._per_minute is None:
            return
        now, per_second = self._clock(), self._per_minute / 60
        tokens, counted_at = self._buckets.pop(key_id, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - counted_at) * per_second)
        is_over = tokens < 1
        self._buckets[key_id] = (tokens if is_over else tokens - 1, now)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        if is_over:
            seconds = math.ceil((1 - tokens) / per_second)
            raise ApplicationFailure(
                429,
                "RESOURCE_EXHAUSTED",
                f"at most {self._per_minute} requests a minute",
                {"threshold": self._per_minute},
                headers={"Retry-After": str(seconds)},
            )
