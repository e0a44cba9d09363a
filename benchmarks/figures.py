"""Names the figures of a round, and says for which of them more or less is better."""

from typing import TypeAlias

Figures: TypeAlias = dict[str, float]
"""The figures of one round, by name with unit (`events_per_second`)."""

RATE = "_per_second"
CPU = "_cpu_s_per_1000"
MEDIAN = "p50_ms"

_MAY_BE_ZERO = tuple(f"{name}{CPU}" for name in ("broker", "mongod", "load"))
_JUDGED = tuple(f"{name}{CPU}" for name in ("services", "total"))


def is_measured(name: str, value: float) -> bool:
    """Whether a value can be one that was measured. A server or the load may have had nothing to do."""
    return value > 0 or (value == 0 and name in _MAY_BE_ZERO)


def direction_of(name: str) -> int:
    """1 if a higher figure is better, -1 if a lower one is, and 0 if the figure does not compare variants.

    The highest latencies are not compared, because single stalls of the machine make them. Memory is not compared,
    because a floor may keep everything in memory. Each server alone is not compared: work may go to another one.
    """
    if name.endswith(RATE):
        return 1
    return -1 if name.endswith(MEDIAN) or name in _JUDGED else 0
