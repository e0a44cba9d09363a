"""Builds the image and starts the deployment once for all tests here; without a Docker engine they are skipped."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment, deployment, engine_missing, image_bytes

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Deployment]:
    """Triptych in containers, healthy."""
    missing = engine_missing()
    if missing:
        pytest.skip(f"nothing can be deployed here: {missing}")
    figures = pytestconfig.stash.setdefault(FIGURES, [])
    with deployment(tmp_path_factory.mktemp("deployment")) as made:
        figures.append(f"image built in {made.build():.1f} s, {image_bytes() / 1e6:.0f} MB")
        figures.append(f"all containers started and healthy in {made.up():.1f} s")
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured on the way."""
    for figure in config.stash.get(FIGURES, []):
        terminalreporter.write_line(figure)
