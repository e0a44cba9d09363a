"""What an event's sequence says, and what notes which events were handled."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.client.events.sequences import (
    MISSING_RANGES_MAX,
    MemorySequences,
    Seen,
    Sequences,
    Verdict,
    judge,
)
from triptych.client.events.sqlite import SQLiteSequences


@pytest.mark.parametrize(
    ("seen", "sequence", "expected"),
    [
        (None, 5, (Verdict.NEW, Seen(5))),
        (Seen(5), 6, (Verdict.NEW, Seen(6))),
        (Seen(5), 5, (Verdict.REPEAT, Seen(5))),
        (Seen(5), 1, (Verdict.REPEAT, Seen(5))),
        (Seen(5), 9, (Verdict.GAP, Seen(9, ((6, 8),)))),
        (Seen(9, ((6, 8),)), 10, (Verdict.NEW, Seen(10, ((6, 8),)))),
        (Seen(9, ((6, 8),)), 7, (Verdict.LATE, Seen(9, ((6, 6), (8, 8))))),
        (Seen(9, ((6, 6), (8, 8))), 6, (Verdict.LATE, Seen(9, ((8, 8),)))),
        (Seen(9, ((6, 6),)), 6, (Verdict.LATE, Seen(9))),
        (Seen(9, ((6, 8),)), 5, (Verdict.REPEAT, Seen(9, ((6, 8),)))),
    ],
)
def test_what_an_event_is(seen: Seen | None, sequence: int, expected: tuple[Verdict, Seen]) -> None:
    assert judge(seen, sequence) == expected


@given(st.lists(st.integers(2, 30), max_size=60))
def test_in_any_order_and_with_any_repeats_each_event_is_handled_once(order: list[int]) -> None:
    _, seen = judge(None, 1)
    handled = [1]
    for sequence in order:
        verdict, seen = judge(seen, sequence)
        if verdict is not Verdict.REPEAT:
            handled.append(sequence)
    assert sorted(handled) == sorted({1, *order})


def test_what_is_remembered_of_gaps_is_bounded() -> None:
    _, seen = judge(None, 1)
    for sequence in range(3, 200, 2):
        _, seen = judge(seen, sequence)
    assert len(seen.missing) == MISSING_RANGES_MAX
    assert judge(seen, 2)[0] is Verdict.REPEAT
    assert judge(seen, 198)[0] is Verdict.LATE


@pytest.fixture(params=["memory", "sqlite"])
def sequences(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sequences]:
    if request.param == "memory":
        yield MemorySequences()
        return
    made = SQLiteSequences(tmp_path / "s.db")
    yield made
    made.close()


async def test_what_was_stored_is_found_until_its_partition_is_lost(sequences: Sequences) -> None:
    await sequences.put(0, "a", Seen(5, ((2, 3),)))
    await sequences.put(1, "b", Seen(1))
    await sequences.put(1, "a", Seen(6, ((2, 3),)))
    assert [await sequences.get(one) for one in "abc"] == [Seen(6, ((2, 3),)), Seen(1), None]
    await sequences.lost({0})
    assert await sequences.get("a") is not None
    await sequences.lost({1, 2})
    assert [await sequences.get(one) for one in "ab"] == [None, None]


async def test_memory_forgets_the_galleries_whose_events_are_oldest() -> None:
    sequences = MemorySequences(2)
    for gallery_id in ("a", "b", "a", "c"):
        await sequences.put(0, gallery_id, Seen(1))
    assert [await sequences.get(one) for one in "abc"] == [Seen(1), None, Seen(1)]


async def test_a_file_is_continued_and_forgets_what_is_too_old(tmp_path: Path) -> None:
    sequences = SQLiteSequences(tmp_path / "s.db")
    await sequences.put(0, "a", Seen(3, ((1, 1),)))
    sequences.close()
    sequences = SQLiteSequences(tmp_path / "s.db")
    assert await sequences.get("a") == Seen(3, ((1, 1),))
    sequences.close()
    sequences = SQLiteSequences(tmp_path / "s.db", kept_seconds=-1)
    assert await sequences.get("a") is None
    sequences.close()
