"""Tests the limits of one listener: concurrency, rate, and pauses after failures."""

from tests.support.listener_examples import claimed, listener
from triptych.webhooks.model.health import FAILURES_TO_BREAK
from triptych.webhooks.relay.lanes import AHEAD_MAX, LONGEST_PAUSE_SECONDS, Lane, LaneState


def test_no_more_requests_at_a_time_than_allowed() -> None:
    lane = Lane(listener(), concurrency=2)
    assert lane.may_start_at(5.0) == 5.0
    lane.start(5.0)
    lane.start(5.0)
    assert lane.may_start_at(5.0) is None
    lane.finish(6.0, 1.0, success=True)
    assert lane.may_start_at(6.0) == 6.0


def test_the_rate_limit_spaces_requests() -> None:
    lane = Lane(listener(rate_limit=2.0), concurrency=10)
    starts = []
    now = 0.0
    for _ in range(4):
        at = lane.may_start_at(now)
        assert at is not None
        starts.append(at)
        now = at
        lane.start(now)
    assert starts == [0.0, 0.5, 1.0, 1.5]


def test_failures_in_a_row_leave_one_at_a_time_with_growing_pauses_until_one_succeeds() -> None:
    lane = Lane(listener(), concurrency=8)
    pauses = []
    for count in range(FAILURES_TO_BREAK + 8):
        lane.start(0.0)
        lane.finish(0.0, 0.01, success=False)
        at = lane.may_start_at(0.0)
        assert at is not None
        if count + 1 < FAILURES_TO_BREAK:
            assert (at, lane.limit) == (0.0, 8)
        else:
            pauses.append(at)
            assert lane.limit == 1
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    lane.start(1.0)
    lane.finish(1.0, 0.01, success=True)
    assert (lane.may_start_at(1.0), lane.limit) == (1.0, 8)


def test_claiming_ahead_is_bounded_and_shrinks_for_slow_listeners() -> None:
    lane = Lane(listener(), concurrency=4)
    assert lane.free_slots <= AHEAD_MAX
    for _ in range(40):
        lane.start(0.0)
        lane.finish(0.0, 10.0, success=True)
    assert lane.free_slots == 4  # two seconds would allow less than one delivery for each request
    lane.queue.extend(claimed() for _ in range(3))
    assert lane.free_slots == 1
    assert not lane.wants_more
    limited = Lane(listener(rate_limit=0.1), concurrency=4)
    assert limited.free_slots == 1


def test_deliveries_that_wait_are_timed_from_the_first_look_to_the_next_start() -> None:
    lane = Lane(listener(), concurrency=1)
    lane.note_waiting(10.0, has_due=False)
    assert lane.seconds_without_start(99.0) == 0.0
    lane.note_waiting(100.0, has_due=True)
    lane.note_waiting(130.0, has_due=True)
    assert lane.seconds_without_start(160.0) == 60.0
    lane.start(160.0)
    assert lane.seconds_without_start(170.0) == 0.0


def test_claimed_deliveries_that_do_not_start_wait_too() -> None:
    lane = Lane(listener(), concurrency=1)
    lane.queue.append(claimed())
    lane.note_waiting(0.0, has_due=False)
    assert lane.seconds_without_start(60.0) == 60.0


def test_waiting_for_the_listeners_own_rate_is_no_delay() -> None:
    lane = Lane(listener(rate_limit=0.01), concurrency=1)
    lane.start(0.0)
    lane.note_waiting(1.0, has_due=True)
    assert lane.seconds_without_start(99.0) == 0.0
    assert lane.seconds_without_start(160.0) == 60.0


def test_the_state_says_how_the_listener_has_answered_last() -> None:
    lane = Lane(listener(), concurrency=8)
    states = []
    for success in (True, False, *[False] * (FAILURES_TO_BREAK - 1), True):
        lane.start(0.0)
        lane.finish(0.0, 0.01, success=success)
        states.append(lane.state)
    assert states[:2] == [LaneState.ANSWERING, LaneState.FAILING]
    assert states[-2:] == [LaneState.THROTTLED, LaneState.ANSWERING]
