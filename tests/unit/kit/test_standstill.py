"""A consumer stands still if it is behind and shows no sign of progress for a time in which it could have moved."""

from triptych.kit.kafka.consuming.standstill import LONGEST_STEP_SECONDS, Standstill


def test_only_a_consumer_that_is_behind_and_does_not_move_stands_still() -> None:
    standstill = Standstill()
    measured = []
    for now, (mark, is_behind) in enumerate(
        [("a", True), ("a", True), ("a", True), ("b", True), ("b", True), ("b", False), ("b", True), ("b", True)]
    ):
        standstill.update(mark, now, is_behind=is_behind)
        measured.append(standstill.seconds)
    assert measured == [0, 1, 2, 0, 1, 0, 1, 2]


def test_a_paused_process_is_not_a_standstill() -> None:
    standstill = Standstill()
    standstill.update("a", 0.0, is_behind=True)
    standstill.update("a", 3_600.0, is_behind=True)
    assert standstill.seconds == LONGEST_STEP_SECONDS


def test_the_time_begins_again_after_somebody_else_was_to_blame() -> None:
    standstill = Standstill()
    standstill.update("a", 0.0, is_behind=True)
    standstill.update("a", 2.0, is_behind=True)
    standstill.reset()
    standstill.update("a", 4.0, is_behind=True)
    assert standstill.seconds == 0
    standstill.update("a", 5.0, is_behind=True)
    assert standstill.seconds == 1
