"""A fetch contains what has changed, and everything when a broker may not know what was fetched before."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11

from triptych.kit.kafka.reading.fetch_sessions import EPOCH_MAX, FetchSession, FetchSessions

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)
ID = 77
OLD_BROKER = SimpleNamespace()


def response(session_id: int = ID, error_code: int = 0) -> SimpleNamespace:
    return SimpleNamespace(session_id=session_id, error_code=error_code)


def fetch(session: FetchSession, offsets: Mapping[TopicPartition, int], version: type[Any] = FetchRequest_v11) -> Any:
    """The next request, in a version of the protocol."""
    topics: dict[str, list[tuple[int, int, int]]] = {}
    for (topic, number), offset in offsets.items():
        topics.setdefault(topic, []).append((number, offset, 1_000))
    return session.next_request(FetchRequest(500, 1, 9_000, 1, list(topics.items()))).build(version)


def offsets_of(request: Any) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic, number): offset
        for topic, partitions in request.topics
        for number, _, offset, _, _ in partitions
    }


def stage(request: Any) -> tuple[int, int]:
    return request.session_id, request.session_epoch


@pytest.fixture
def session() -> FetchSession:
    """A session that has fetched `A0` and `B0` from their beginning."""
    opened = FetchSession()
    fetch(opened, {A0: 0, B0: 0})
    opened.accept(response())
    return opened


def test_the_first_request_has_all_partitions_and_asks_for_a_session() -> None:
    request = fetch(FetchSession(), {A0: 5, A1: 6, B0: 7})
    assert offsets_of(request) == {A0: 5, A1: 6, B0: 7}
    assert stage(request) == (0, 0)
    assert request.forgotten_topics_data == []


def test_later_requests_have_only_what_has_changed(session: FetchSession) -> None:
    unchanged = fetch(session, {A0: 0, B0: 0})
    session.accept(response())
    moved = fetch(session, {A0: 0, B0: 3})
    session.accept(response())
    added_and_removed = fetch(session, {A1: 9, B0: 3})
    session.accept(response())
    again = fetch(session, {A0: 0, A1: 9})
    assert [stage(each) for each in (unchanged, moved, added_and_removed, again)] == [(ID, n) for n in (1, 2, 3, 4)]
    assert unchanged.topics == []
    assert offsets_of(moved) == {B0: 3}
    assert (offsets_of(added_and_removed), added_and_removed.forgotten_topics_data) == ({A1: 9}, [("a", [0])])
    assert (offsets_of(again), again.forgotten_topics_data) == ({A0: 0}, [("b", [0])])
    assert session.offsets == {A0: 0, A1: 9}


def test_a_request_keeps_all_that_the_session_does_not_concern(session: FetchSession) -> None:
    request = fetch(session, {A0: 4})
    assert (request.max_wait_time, request.min_bytes, request.max_bytes, request.isolation_level) == (500, 1, 9_000, 1)
    assert request.topics == [("a", [(0, -1, 4, -1, 1_000)])]
    assert request.encode()


def test_after_a_lost_response_a_new_session_replaces_the_old_one(session: FetchSession) -> None:
    fetch(session, {A0: 1, B0: 0})
    request = fetch(session, {A0: 1, B0: 0})
    assert offsets_of(request) == {A0: 1, B0: 0}
    assert stage(request) == (ID, 0)
    session.accept(response(ID + 1))
    assert stage(fetch(session, {A0: 1, B0: 0})) == (ID + 1, 1)


@pytest.mark.parametrize("error", [FetchSessionIdNotFound, InvalidFetchSessionEpoch])
def test_a_broker_that_does_not_know_the_session_gets_all_partitions(session: FetchSession, error: Any) -> None:
    fetch(session, {A0: 0, B0: 1})
    with pytest.raises(error):
        session.accept(response(0, error.errno))
    request = fetch(session, {A0: 0, B0: 1})
    assert offsets_of(request) == {A0: 0, B0: 1}
    assert request.session_epoch == 0


def test_a_broker_without_room_for_sessions_gets_all_partitions_each_time() -> None:
    session = FetchSession()
    for _ in range(3):
        request = fetch(session, {A0: 0, B0: 0})
        assert (offsets_of(request), stage(request)) == ({A0: 0, B0: 0}, (0, 0))
        session.accept(response(0))


def test_a_broker_older_than_sessions_gets_all_partitions_each_time() -> None:
    session = FetchSession()
    for _ in range(3):
        request = fetch(session, {A0: 3}, FetchRequest_v4)
        assert request.topics == [("a", [(0, 3, 1_000)])]
        assert not hasattr(request, "session_id")
        session.accept(OLD_BROKER)


def test_epochs_begin_again_at_one(session: FetchSession) -> None:
    session._epoch = EPOCH_MAX
    assert stage(fetch(session, {A0: 0, B0: 0})) == (ID, EPOCH_MAX)
    session.accept(response())
    assert stage(fetch(session, {A0: 0, B0: 0})) == (ID, 1)


def test_each_broker_has_a_session_and_a_new_assignment_restarts_all() -> None:
    sessions, first, second = FetchSessions(), object(), object()
    for node_id in (1, 2):
        fetch(sessions.of(node_id, first), {A0: 0})
        sessions.of(node_id, first).accept(response(node_id))
    assert stage(fetch(sessions.of(1, first), {A0: 0})) == (1, 1)
    sessions.of(1, first).accept(response(1))
    assert stage(fetch(sessions.of(1, second), {A0: 0})) == (1, 0)
    assert stage(fetch(sessions.of(2, second), {A0: 0})) == (2, 0)
