"""Operators see jobs, the outbox and deliveries as they are stored, damaged ones too."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.installation import open_own_database
from triptych.command.store.overview import JobState, Overview
from triptych.devstack.stack import Addresses
from triptych.webhooks.store.overview import deliveries_state

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def job(job_id: str, minutes: int, **fields: Any) -> dict[str, Any]:
    started = AT + timedelta(minutes=minutes)
    return {"_id": job_id, "kind": "clear", "galleryId": "g", "partition": 0, "startedAt": started, **fields}


async def test_jobs_are_listed_by_age_and_state(stack: Addresses) -> None:
    async with open_own_database(stack) as database:
        await database["jobs"].insert_many(
            [
                job("red:12:triptych/cli:b", 1, step=3, state={"at": AT, "n": 1}),
                job("red::a", 0, failures=2, failingSince=AT),
                job("red::c", 2, isDone=True),
                {"_id": "damaged"},
            ]
        )
        await database["parked_commands"].insert_many([{"galleryId": "g"}, {"galleryId": "other"}])
        overview = Overview(database)
        assert [one["id"] for one in await overview.jobs(None, 10)] == [
            "damaged",
            "red::a",
            "red:12:triptych/cli:b",
            "red::c",
        ]
        assert [one["id"] for one in await overview.jobs(JobState.FAILING, 10)] == ["red::a"]
        assert [one["id"] for one in await overview.jobs(JobState.FINISHING, 10)] == ["red::c"]
        assert len(await overview.jobs(None, 1)) == 1
        found = await overview.job("red:12:triptych/cli:b")
        assert found is not None
        assert (found["siteId"], found["steps"], found["waitingCommands"]) == ("red", 3, 1)
        assert found["progress"]["n"] == 1
        assert await overview.job("nothing") is None
        assert await overview.count_parked() == 2


async def test_the_oldest_event_of_the_outbox_counts(stack: Addresses) -> None:
    def row(partition: int, number: int, time: bytes | None, **fields: Any) -> dict[str, Any]:
        headers = {} if time is None else {"ce_time": time}
        events = [{"key": b"", "value": b"", "headers": headers}]
        return {"partition": partition, "epoch": 1, "number": number, "events": events, **fields}

    async with open_own_database(stack) as database:
        overview = Overview(database)
        assert (await overview.outbox()).rows == 0
        await database["outbox"].insert_many(
            [
                row(0, 1, b"2026-01-01T00:00:00.000Z"),
                row(0, 2, b"2026-01-02T00:00:00.000Z", pending=True),
                row(1, 1, None, pending=True),
                row(2, 1, b"2026-01-03T00:00:00.000Z", pending=True),
            ]
        )
        found = await overview.outbox()
        assert (found.rows, found.oldest) == (3, "2026-01-02T00:00:00.000Z")


@pytest.mark.parametrize("status", ["active", "paused"])
async def test_deliveries_of_active_listeners_are_due(stack: Addresses, status: str) -> None:
    async with open_own_database(stack) as database:
        await database["listeners"].insert_many([{"_id": "a", "status": status}, {"_id": "b", "status": "active"}])
        pending = {"listenerId": "a", "status": "pending"}
        await database["deliveries"].insert_many(
            [
                {**pending, "dueAt": AT},
                {**pending, "dueAt": AT - timedelta(seconds=5)},
                {**pending, "dueAt": AT + timedelta(seconds=5)},
                {"listenerId": "b", "status": "dead"},
            ]
        )
        found = await deliveries_state(database, AT)
        is_active = status == "active"
        assert (found.due, found.dead) == (2 if is_active else 0, 1)
        assert found.oldest_due == (AT - timedelta(seconds=5) if is_active else None)
