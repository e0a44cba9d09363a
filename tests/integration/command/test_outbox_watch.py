"""Events that stay in the outbox are reported, unless a server is to blame."""

import pytest
from prometheus_client import REGISTRY

from tests.support.installation import Installation
from tests.support.log_lines import logged
from triptych.command.store.outbox_watch import WAITING_SECONDS, OutboxWatch
from triptych.kit.process.dependencies import DEPENDENCIES

pytestmark = pytest.mark.without_topics


async def test_events_that_stay_in_the_outbox_are_reported_until_they_are_published(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    now, away = 0.0, ["MongoDB is away"]

    async def ask() -> str | None:
        return away[0] if away else None

    rows = installation.database["outbox"]
    watch = OutboxWatch(installation.database, lambda: [0, 1, 2], clock=lambda: now)
    await rows.insert_many(
        [
            {"_id": f"{partition}-1-{number}", "partition": partition, "epoch": 1, "number": number, "pending": True}
            for partition in (0, 2, 7)
            for number in (1, 2)
        ]
    )
    await watch.look()
    await rows.update_one({"_id": "2-1-1"}, {"$unset": {"pending": ""}})
    now = WAITING_SECONDS / 2
    await watch.look()
    now = WAITING_SECONDS
    with DEPENDENCIES.on(ask):
        reported = []
        for _ in range(3):
            await watch.look()
            reported.append(watch.problem)
            away.clear()
    words = "events of partitions 0 have waited in the outbox, for up to 60 s"
    assert reported == [None, words, words]
    assert [line["problem"] for line in logged(caplog.records, "events have waited in the outbox")] == [words]
    assert REGISTRY.get_sample_value("triptych_outbox_oldest_seconds") == WAITING_SECONDS
    await rows.delete_many({})
    await watch.look()
    assert watch.problem is None
    assert REGISTRY.get_sample_value("triptych_outbox_oldest_seconds") == 0
