"""The `stack` fixture: one real Kafka and one real MongoDB for a whole run of pytest."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Addresses, StackUnavailable, local_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Addresses of the servers; they start with the first test that asks for them and stop after the last test."""
    try:
        with local_stack(data_dir=tmp_path_factory.mktemp("stack"), keep=False) as addresses:
            yield addresses
    except StackUnavailable as unavailable:
        raise pytest.fail.Exception(str(unavailable), pytrace=False) from None  # the message says it all
