"""Lets commands become long-running work at a tenth of the usual size, in steps of a tenth: as many, and each is quick.

For tests of what the work does. Those of its size (tests/resilience/command/test_size.py) do without.
"""

from collections.abc import Iterator

import pytest

DIRECT_ITEMS, STEP_ITEMS = 100, 25
"""The most items that a command handles itself, and the most in a step of long-running work."""


@pytest.fixture
def early_jobs() -> Iterator[None]:
    """These limits, for services in the process of the test."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("domain.decide", "store.loader", "store.named"):
            patch.setattr(f"triptych.command.{module}.DIRECT_ITEMS", DIRECT_ITEMS)
        for module in ("flow.runner", "store.staging"):
            patch.setattr(f"triptych.command.{module}.STEP_ITEMS", STEP_ITEMS)
        yield
