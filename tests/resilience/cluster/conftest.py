"""One cluster for all tests of this folder: three Kafka nodes, three MongoDB members, two processes of each service."""

from collections.abc import Iterator

import pytest

from tests.support.local_cluster import KINDS, STOP_SECONDS, LocalCluster, local_cluster
from tests.support.secrets import check_logs
from tests.support.servers import command_line

RESTART_SECONDS = 18.0
"""How long a part that has ended stays away: longer than an answer may take."""


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster that runs, and stops in order at the end of the tests."""
    folder = tmp_path_factory.mktemp("cluster")
    with local_cluster(folder, restart_after=RESTART_SECONDS) as running:
        yield running
        pids = running.pids()
        assert running.child.stop(STOP_SECONDS) == 0
        assert [pid for pid in pids if command_line(pid)] == []
    logs = folder / ".triptych" / "cluster" / "logs"
    check_logs(path for kind in KINDS for path in logs.glob(f"{kind}-*.log"))
