"""A process finds what its killed predecessors have held, and nothing of processes that run."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.support.installation import open_own_database
from triptych.devstack.stack import Addresses
from triptych.kit.mongo.driver import Database
from triptych.kit.process.identity import this_process
from triptych.kit.upgrading.presence import PROCESSES, Presence, present

HERE = this_process("pod-0")
KILLED = replace(HERE, started=HERE.started - 1)


@pytest.fixture
async def database(stack: Addresses) -> AsyncIterator[Database]:
    """An empty database."""
    async with open_own_database(stack) as opened:
        yield opened


async def test_what_killed_predecessors_held_is_found_by_their_successor(database: Database) -> None:
    for number in range(2):
        killed = Presence(database, "command", identity=KILLED)
        await killed.announce()
        await killed.holdings("group").note(f"$member-{number}")
        await killed.holdings("shards").note("relay")
        await killed.announce()  # a renewal keeps it
    async with present(database, "command", instance_id="pod-0") as presence:
        assert sorted(presence.holdings("group").left_behind) == ["$member-0", "$member-1"]
        assert presence.holdings("shards").left_behind == ("relay", "relay")
        assert presence.holdings("other").left_behind == ()


@pytest.mark.parametrize(
    ("service", "identity"),
    [
        ("projector", KILLED),
        ("command", replace(KILLED, instance="pod-1")),
        ("command", HERE),
    ],
)
async def test_other_processes_keep_what_they_hold(database: Database, service: str, identity: object) -> None:
    other = Presence(database, service, identity=identity)  # type: ignore[arg-type]
    await other.holdings("group").note("member")
    async with present(database, "command", instance_id="pod-0") as presence:
        assert presence.holdings("group").left_behind == ()


async def test_a_document_of_a_build_that_noted_nothing_does_no_harm(database: Database) -> None:
    await database[PROCESSES].insert_one({"_id": "old", "service": "command", "instance": "host-1"})
    async with present(database, "command", instance_id="pod-0") as presence:
        assert presence.holdings("group").left_behind == ()
