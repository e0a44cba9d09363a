"""What the tests here share: one checkout in which everything runs, and the built programs of each language."""

from collections.abc import Iterator

import pytest

from tests.support.checkout import Place, checkout, write_commands
from tests.support.preloaded import preloaded_python
from triptych.devstack.stack import Addresses


@pytest.fixture(scope="session")
def place(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A checkout after `make up`; its folder `examples` has copies of the examples whose page was typed."""
    with checkout(stack, tmp_path_factory.mktemp("checkout")) as opened, preloaded_python() as python:
        write_commands(opened.folder / ".venv" / "bin", python)
        yield opened
