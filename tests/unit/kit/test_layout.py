"""Which partition a key has, and what a new partition waits for, while and after partitions are added."""

from hypothesis import given
from hypothesis import strategies as st

from triptych.kit.kafka.layout import Growth, Layout, LiveCounts, TopicEnds, TopicLayout, Waits
from triptych.kit.kafka.partitions import partition_of

KEYS = st.binary(min_size=1, max_size=40)
TWICE = Layout(
    12,
    (
        Growth(3, 6, {"events": TopicEnds("id", {0: 10, 1: 0, 2: 20})}),
        Growth(6, 12, {"events": TopicEnds("id", {0: 15, 1: 7, 2: 20, 3: 5, 4: 0, 5: 1})}),
    ),
)
EVENTS = TWICE.of_topic("events", "id")


@given(KEYS, st.integers(1, 50), st.integers(2, 5))
def test_a_key_stays_or_moves_to_a_new_partition_that_waits_for_its_former_one(
    key: bytes, former: int, factor: int
) -> None:
    before, now = partition_of(key, former), partition_of(key, former * factor)
    assert now == before or (now >= former and now % former == before)
    ends = dict.fromkeys(range(former), 1)
    waits = TopicLayout(former * factor, ((former, ends),)).waits(now)
    assert waits == (None if now == before else Waits(before, 1))


def test_a_record_belongs_to_the_partition_that_it_had_when_it_was_published() -> None:
    assert [EVENTS.count_at(0, offset) for offset in (0, 9, 10, 14, 15)] == [3, 3, 6, 6, 12]
    assert [EVENTS.count_at(3, offset) for offset in (0, 4, 5)] == [6, 6, 12]
    assert EVENTS.count_at(11, 0) == 12
    assert TopicLayout(3).count_at(2, 10**9) == 3


def test_a_new_partition_waits_for_the_one_from_which_its_keys_come() -> None:
    waits = [EVENTS.waits(partition) for partition in range(12)]
    assert waits[:6] == [None, None, None, Waits(0, 10), None, Waits(2, 20)]
    assert waits[6:] == [Waits(0, 15), Waits(1, 7), Waits(2, 20), Waits(3, 5), None, Waits(5, 1)]
    assert EVENTS.ends() == {0: 15, 1: 7, 2: 20, 3: 5, 4: 0, 5: 1}


def test_a_topic_that_was_created_again_has_no_records_from_before() -> None:
    for layout in (TWICE.of_topic("events", "other"), TWICE.of_topic("events", None), TWICE.of_topic("commands", "id")):
        assert layout.count_at(0, 0) == 12
        assert [layout.waits(partition) for partition in range(12)] == [None] * 12


@given(KEYS)
def test_the_places_of_a_key(key: bytes) -> None:
    places = TWICE.places(key)
    assert places == {partition_of(key, count) for count in (3, 6, 12)}
    for partition in range(12):
        assert TWICE.is_former_place(key, partition) == (partition != partition_of(key, 12))
        assert not Layout(3).is_former_place(key, partition)


def test_counts_change_for_everybody_who_has_them() -> None:
    counts = LiveCounts(["a", "b"], 3)
    assert dict(counts) == {"a": 3, "b": 3}
    counts.partitions = 6
    assert (counts["a"], counts.get("c"), len(counts)) == (6, None, 2)
    assert counts.place("key") == partition_of(b"key", 6)
