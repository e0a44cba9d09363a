"""The servers with certificates and users, shared by the tests of this folder."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.secure.certificates import Authority
from tests.support.secure.links import Links
from tests.support.secure.servers import secure_kafka, secure_mongo
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.processes import processes_missing


@pytest.fixture(scope="package")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Links]:
    if processes_missing(os.environ):
        pytest.skip("needs servers that this machine can start with certificates of the test")
    folder = tmp_path_factory.mktemp("secure")
    authority, stranger = Authority(folder / "ours"), Authority(folder / "strange", "stranger")
    with ExitStack() as servers:
        try:
            mongo = servers.enter_context(secure_mongo(folder / "m", authority))
            kafka = servers.enter_context(secure_kafka(folder / "k", authority))
        except StackUnavailable as unavailable:
            raise pytest.fail.Exception(str(unavailable), pytrace=False) from None
        yield Links(folder, authority, stranger, authority.issue("client"), kafka, mongo)
