"""Data that needs a newer build is refused by every service and command, before anything is done."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.children import wait_for
from tests.support.installation import Installation
from tests.support.log_lines import lines_in
from tests.support.processes import service_process
from triptych.cli.provision import provision
from triptych.cli.settings import CliSettings
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.schema_version import THIS_BUILD
from triptych.kit.upgrading.presence import running_processes

SERVICES = ("command", "projector", "webhooks", "gateway")


async def test_a_service_ends_with_78_and_one_line(installation: Installation, tmp_path: Path) -> None:
    await installation.database["schema"].insert_one({"_id": "installation", "version": 9, "oldestBuild": 8, "more": 1})
    with ExitStack() as ending:
        started = {
            name: ending.enter_context(service_process(installation, f"triptych.{name}", tmp_path, local=True))
            for name in SERVICES
        }
        wait_for(lambda: all(one.poll() is not None for one in started.values()))
        assert [one.poll() for one in started.values()] == [78] * len(SERVICES)
    for name, one in started.items():
        (line,) = (fields for fields in lines_in(one.log) if fields["level"] == "critical")
        assert line["event"] == "the service refuses to start", name
        assert "schema version 9 and needs a build that knows version 8" in line["error"]
        assert f"knows schema version {THIS_BUILD.version}" in line["error"]
        assert "\n" not in line["error"]
    assert await installation.database.list_collection_names() == ["schema"]


@pytest.mark.without_topics
async def test_a_command_does_nothing(installation: Installation) -> None:
    await installation.database["schema"].insert_one({"_id": "installation", "version": 9, "oldestBuild": 8})
    settings = installation.settings(CliSettings, topic_prefix=f"{installation.name}.other.")
    with pytest.raises(StartRefused, match="needs a build that knows version 8"):
        await provision(settings)
    assert await installation.database.list_collection_names() == ["schema"]
    assert await running_processes(installation.database) == []
