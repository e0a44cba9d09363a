"""A member joins at once after the kill of its predecessor, and one that was taken for dead joins again."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition

from tests.support.installation import PARTITIONS, Installation
from tests.support.waiting import eventually
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.consuming import member as member_module
from triptych.kit.kafka.consuming.member import GroupMember

SESSION_MS = 30_000
"""Far longer than any test here may take: a member that waits for its end fails."""
GROUP = "tests"


class Memberships:
    """What a process notes, in memory."""

    def __init__(self, left_behind: Sequence[str] = ()) -> None:
        self.left_behind = left_behind
        self.noted: list[str] = []

    async def note(self, member_id: str) -> None:
        self.noted.append(member_id)


@asynccontextmanager
async def member(
    installation: Installation,
    memberships: Memberships,
    *,
    dies: bool = False,
    listener: ConsumerRebalanceListener | None = None,
    **options: Any,
) -> AsyncIterator[GroupMember]:
    """A member of the group during the block; one that dies does not leave the group."""
    made = GroupMember(
        memberships=memberships,
        bootstrap_servers=installation.addresses.kafka_bootstrap,
        group_id=GROUP + installation.name,
        enable_auto_commit=False,
        **{"session_timeout_ms": SESSION_MS, "rebalance_timeout_ms": SESSION_MS, "heartbeat_interval_ms": 100}
        | options,
    )
    made.subscribe([installation.topics.commands], listener=listener)
    try:
        await made.start()
        yield made
    finally:
        if dies:
            coordinator_of(made)._maybe_leave_group = _do_nothing  # aiokafka's own
        await made.stop()


def coordinator_of(one: GroupMember) -> Any:
    return one._coordinator


async def _do_nothing() -> None:
    pass


async def owns(one: GroupMember, count: int) -> bool:
    return len(one.assignment()) == count


async def test_a_member_does_not_wait_for_its_killed_predecessors(installation: Installation) -> None:
    killed: list[str] = []
    for _ in range(3):  # a predecessor may have been killed while it waited for its own predecessor
        memberships = Memberships(tuple(killed))
        before = time.monotonic()
        async with member(installation, memberships, dies=True) as one:
            assert len(one.assignment()) == PARTITIONS
            assert time.monotonic() - before < SESSION_MS / 1000 / 2
            assert memberships.noted == [coordinator_of(one).member_id]
        killed += memberships.noted


async def test_one_that_was_taken_for_dead_joins_again(installation: Installation) -> None:
    first = Memberships()
    async with member(installation, first) as running:
        second = Memberships(tuple(first.noted))
        async with member(installation, second) as successor:

            async def is_shared_again() -> bool:
                # The running one may also join once with its former id, just before its membership is ended.
                owned = running.assignment(), successor.assignment()
                covered = all(owned) and not owned[0] & owned[1] and len(owned[0] | owned[1]) == PARTITIONS
                return covered and len(first.noted) == 2

            await eventually(is_shared_again, "the running one has joined with another id, and both have partitions")
            assert len(second.noted) == 1
        await eventually(lambda: owns(running, PARTITIONS), "the other one has left in order")


async def test_a_member_joins_although_its_id_cannot_be_noted(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Memberships):
        async def note(self, member_id: str) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(member_module, "NOTE_SECONDS", 0.05)
    async with member(installation, Away(["nobody"])) as one:
        assert await owns(one, PARTITIONS)


async def test_a_session_that_the_brokers_do_not_permit_is_refused(installation: Installation) -> None:
    with pytest.raises(StartRefused, match=r"TRIPTYCH_GROUP_SESSION_TIMEOUT: Kafka does not permit 1 s\."):
        async with member(installation, Memberships(), session_timeout_ms=1_000):
            pass


async def test_a_request_to_join_waits_for_the_other_members(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker answers when all members have joined, which takes longer than any other request may take."""
    given_up: list[object] = []
    monkeypatch.setattr(
        member_module._Coordinator, "coordinator_dead", lambda coordinator: given_up.append(coordinator)
    )

    class Slow(ConsumerRebalanceListener):  # type: ignore[misc]
        async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
            await asyncio.sleep(1.5 if revoked else 0)

        async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
            pass

    async with member(installation, Memberships(), listener=Slow(), request_timeout_ms=1_000) as first:

        async def has_partitions() -> bool:
            return len(first.assignment()) == PARTITIONS

        await eventually(has_partitions, "the first member has all partitions")
        async with member(installation, Memberships(), request_timeout_ms=1_000) as second:

            async def are_shared() -> bool:
                return 0 < len(second.assignment()) < PARTITIONS

            await eventually(are_shared, "both have partitions")
            assert not given_up
