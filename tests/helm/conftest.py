"""Skips what runs helm on a machine without it."""

import pytest

from tests.support.helm.chart import helm_missing


@pytest.fixture(scope="session")
def helm() -> None:
    """That there is a helm to run."""
    missing = helm_missing()
    if missing:
        pytest.skip(f"the chart cannot be rendered here: {missing}")
