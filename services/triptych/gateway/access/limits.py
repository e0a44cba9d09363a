"""Rate limit per API key: a token bucket each (contract, section 5: 429 RESOURCE_EXHAUSTED)."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from triptych.gateway.http.errors import ApplicationFailure

BUCKETS_MAX = 10_000


class RateLimit:
    """Lets each key make so many requests a minute, and as many at once. Each gateway counts for itself."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # Tokens and when they were counted, by key; those longest unused come first, and are full again by then.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key_id: str) -> None:
        """Count a request.

        Raises:
            Refused: 429, saying when to come again.
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
