"""How long a group waits for a member: the times have to fit together, whatever the settings say."""

from datetime import timedelta

import pytest

from triptych.kit.kafka.clients import REQUEST_TIMEOUT_MS
from triptych.kit.kafka.consuming.member import GroupMember
from triptych.kit.kafka.reading.subscription import GroupTimes
from triptych.kit.process.settings import ConsumerSettings

SETTINGS = ConsumerSettings()
DEFAULT = GroupTimes(SETTINGS.group_session_timeout, SETTINGS.group_rebalance_timeout)


def test_the_defaults_are_those_of_the_settings() -> None:
    assert GroupTimes() == DEFAULT


@pytest.mark.parametrize("session", [1, 6, 30])
def test_some_lost_heartbeats_do_not_end_a_session(session: int) -> None:
    times = GroupTimes(session=timedelta(seconds=session))
    assert 3 * times.heartbeat_ms < times.session_ms == 1_000 * session
    assert times.heartbeat_ms <= 500  # a rebalance begins with a heartbeat


def member(times: GroupTimes) -> GroupMember:
    return GroupMember(
        group_id="group",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        session_timeout_ms=times.session_ms,
        rebalance_timeout_ms=times.rebalance_ms,
    )


@pytest.mark.parametrize("rebalance", [2, 9, 60])
async def test_a_member_can_join_until_the_rebalance_ends(rebalance: int) -> None:
    times = GroupTimes(rebalance=timedelta(seconds=rebalance))
    assert times.revocation_seconds < rebalance
    one = member(times)
    assert one._join_seconds > rebalance
    await one.stop()


@pytest.mark.parametrize("rebalance", [2, 9, 60])
async def test_a_silent_broker_is_noticed_as_early_as_by_other_clients(rebalance: int) -> None:
    one = member(GroupTimes(rebalance=timedelta(seconds=rebalance)))
    assert one._client._request_timeout_ms == REQUEST_TIMEOUT_MS
    await one.stop()
