"""The reports of the tools. Each language has one process, which reads everything."""

from collections.abc import Callable

import pytest

from tests.support.tools.running import Report, ToolchainMissing, go_report, java_report, node_report


def _of(make: Callable[[], Report]) -> Report:
    try:
        return make()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def node() -> Report:
    """What the tools for JavaScript found."""
    return _of(node_report)


@pytest.fixture(scope="session")
def java() -> Report:
    """What the tools for Java found."""
    return _of(java_report)


@pytest.fixture(scope="session")
def go() -> Report:
    """What the tools for Go found."""
    return _of(go_report)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """The report of the language that the test names by its parameter."""
    found: Report = request.getfixturevalue(request.param)
    return found
