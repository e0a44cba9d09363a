"""A command is done completely or not at all, whenever the service is killed: I1 to I3 of docs/architecture."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.support.commands import body
from tests.support.forks import start_fork
from tests.support.installation import Installation
from tests.support.kafka import Record, topic_reader
from tests.support.waiting import eventually
from tests.support.write_model import audit, until_all_is_marked
from triptych.command.domain.decide import DIRECT_ITEMS

KILLS = int(os.environ.get("TRIPTYCH_TEST_KILLS", "12"))


@pytest.mark.timeout(120 + 15 * KILLS)
async def test_a_kill_at_any_moment_leaves_no_command_done_by_half(installation: Installation, tmp_path: Path) -> None:
    environ = {**os.environ, **installation.environ(), "WORKER_SEED": "14", "WORKER_KILLS": str(KILLS)}
    log = tmp_path / "workers.log"
    workers = start_fork("tests.support.command_worker", env=environ, log=log)
    try:

        async def have_ended() -> bool:
            return workers.poll() is not None

        await eventually(have_ended, "all workers have ended", deadline_seconds=60 + 10 * KILLS)
        assert workers.poll() == 0, log.read_text()
    finally:
        workers.stop(0)
    history = await audit(installation.database)
    causes = Counter(event["cause"] for events in history.values() for event in events)
    assert max(causes.values()) > DIRECT_ITEMS, "no work was long"
    committed = {name: [event["id"] for event in events] for name, events in history.items()}
    await until_all_is_marked(installation.database)

    def first_appearances(records: list[Record]) -> dict[str, list[str]]:
        seen: dict[str, dict[str, None]] = {}
        for record in records:
            event = body(record)
            if "entityId" in event:
                seen.setdefault(event["entityId"], {})[event["id"]] = None
        return {name: list(ids) for name, ids in seen.items()}

    bootstrap, topics = installation.addresses.kafka_bootstrap, installation.topics
    async with topic_reader(bootstrap, topics.events) as events, topic_reader(bootstrap, topics.replies) as replies:
        await events.read_until(
            lambda records: sum(map(len, first_appearances(records).values())) >= sum(map(len, committed.values())),
            "all events",
            deadline_seconds=60,
        )
        assert first_appearances(events.records) == committed
        processed = installation.database["processed_commands"]
        outcomes = {outcome["reply"]["commandId"]: outcome["reply"] async for outcome in processed.find()}
        await replies.read_until(
            lambda records: outcomes.keys() <= {body(record)["commandId"] for record in records}, "all replies"
        )
        answered = {body(reply)["commandId"]: body(reply) for reply in replies.records}
    assert {name: answered[name] for name in outcomes} == outcomes
