"""`LagTracker`: lag in records and seconds, and which partitions have stalled."""

from triptych.kit.kafka.consuming.lag_tracker import OPEN_SECONDS, STALLED_SECONDS, LagTracker, PartitionState


def test_a_partition_that_is_read_to_its_end_has_no_lag() -> None:
    tracker = LagTracker()
    for now in (0.0, 1_000.0):
        tracker.update({0: PartitionState(5, 5)}, now)
        assert tracker.lags[0][:2] == (0, 0.0)
        assert not tracker.stalled()


def test_lag_counts_from_when_a_record_was_first_known_to_be_there() -> None:
    tracker = LagTracker()
    tracker.update({0: PartitionState(5, 5)}, 100)
    tracker.update({0: PartitionState(5, 7)}, 102)
    tracker.update({0: PartitionState(5, 9)}, 110)
    assert tracker.lags[0][:2] == (4, 8.0)
    tracker.update({0: PartitionState(7, 9)}, 112)
    assert tracker.lags[0][:2] == (2, 2.0)
    tracker.update({0: PartitionState(7, 9, oldest_ms=50_000)}, 113)
    assert tracker.lags[0].seconds == 63


def test_records_without_a_time_do_not_make_a_lag_of_decades() -> None:
    tracker = LagTracker()
    tracker.update({0: PartitionState(5, 7, oldest_ms=-1)}, 100)
    assert tracker.lags[0].seconds == 0


def test_only_a_partition_that_is_behind_and_does_not_move_is_stalled() -> None:
    tracker = LagTracker()
    for now in (0.0, STALLED_SECONDS / 2, STALLED_SECONDS):
        tracker.update({0: PartitionState(5, 9), 1: PartitionState(int(now), 1_000), 2: PartitionState(9, 9)}, now)
    assert tracker.stalled().keys() == {0}
    tracker.update({0: PartitionState(6, 9)}, STALLED_SECONDS + 1)
    assert not tracker.stalled()


def test_records_that_an_open_transaction_withholds_are_distinguished() -> None:
    tracker = LagTracker()
    for now in (0.0, OPEN_SECONDS, 2 * STALLED_SECONDS):
        tracker.update(
            {0: PartitionState(5, 9, stable=5), 1: PartitionState(5, 9, stable=5, trouble="CorruptMessage")}, now
        )
    assert tracker.waiting_for_transaction().keys() == {0}
    assert tracker.stalled().keys() == {1}


def test_what_waits_grows_older_while_nothing_can_be_measured() -> None:
    tracker = LagTracker()
    tracker.update({0: PartitionState(5, 9), 1: PartitionState(9, 9), 2: PartitionState(9, 9)}, 100)
    tracker.update({0: PartitionState(5, 9), 1: PartitionState(9, 9), 2: PartitionState(9, 9)}, 103)
    aged = tracker.aged(163, {})
    assert {partition: lag[:2] for partition, lag in aged.items()} == {0: (4, 63.0), 1: (0, 0.0), 2: (0, 0.0)}
    # Records that came after the last measurement, and are being handled ever since.
    aged = tracker.aged(163, {0: 90_000, 1: 105_000, 2: -1})
    assert {partition: lag[:2] for partition, lag in aged.items()} == {0: (4, 73.0), 1: (1, 58.0), 2: (1, 0.0)}
    assert tracker.lags[0].seconds == 3


def test_partitions_of_others_are_forgotten() -> None:
    tracker = LagTracker()
    tracker.update({0: PartitionState(5, 9)}, 0)
    tracker.update({1: PartitionState(5, 9)}, 100)
    assert tracker.lags.keys() == {1}
    tracker.update({0: PartitionState(5, 9)}, 200)
    assert tracker.lags[0].stalled_seconds == 0


def test_a_topic_that_was_created_again_starts_over() -> None:
    tracker = LagTracker()
    tracker.update({0: PartitionState(50, 90)}, 0)
    tracker.update({0: PartitionState(0, 2)}, 100)
    assert tracker.lags[0][:2] == (2, 0.0)


def test_memory_is_bounded() -> None:
    tracker = LagTracker()
    for now in range(1_000):
        tracker.update({0: PartitionState(0, now + 1)}, now)
    assert len(tracker._histories[0].ends) < 100
    assert tracker.lags[0].seconds == 999
