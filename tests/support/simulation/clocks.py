"""Lets the product see virtual time, and random numbers and ids that depend on the seed only, during a block."""

import contextlib
import datetime as datetime_module
import random
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any
from unittest import mock

import uuid_utils

from tests.support.simulation.loop import SimulatedLoop

BEGINNING = 1_767_225_600.0
"""The wall clock when a simulation begins, in Unix seconds: 2026-01-01."""
_PACKAGES = (
    "triptych.cli.partitions",
    "triptych.command",
    "triptych.history",
    "triptych.kit",
    "triptych.projector",
    "triptych.readmodel",
    "triptych.webhooks",
)


def wall_clock(loop: SimulatedLoop) -> float:
    """Unix time in seconds."""
    return BEGINNING + loop.time()


@contextlib.contextmanager
def virtual_time(loop: SimulatedLoop, seed: str) -> Iterator[None]:
    """Replace the clocks and the sources of randomness in the block."""
    chance = random.Random(f"ids {seed}")
    state = random.getstate()
    random.seed(f"product {seed}")

    def new_uuid4() -> uuid.UUID:
        return uuid.UUID(int=chance.getrandbits(128), version=4)

    def new_uuid7() -> uuid.UUID:
        milliseconds = int(wall_clock(loop) * 1000)
        return uuid.UUID(int=(milliseconds << 80) | 7 << 76 | chance.getrandbits(76) & ~(3 << 62) | 2 << 62)

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime_module.datetime)

    class Datetime(datetime_module.datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: datetime_module.tzinfo | None = None) -> Any:
            return datetime_module.datetime.fromtimestamp(wall_clock(loop), tz)

    with contextlib.ExitStack() as patches:
        for name, clock in (("time", lambda: wall_clock(loop)), ("monotonic", loop.time), ("perf_counter", loop.time)):
            patches.enter_context(mock.patch.object(time, name, clock))
        patches.enter_context(mock.patch.object(uuid, "uuid4", new_uuid4))
        patches.enter_context(mock.patch.object(uuid_utils, "uuid7", new_uuid7))
        for name, module in sorted(sys.modules.items()):
            if name.startswith(_PACKAGES) and getattr(module, "datetime", None) is datetime_module.datetime:
                patches.enter_context(mock.patch.object(module, "datetime", Datetime))
        try:
            yield
        finally:
            random.setstate(state)
