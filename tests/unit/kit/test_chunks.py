"""Chunks keep all items in order, stay within their bound where items allow it, and are as long as possible."""

import itertools
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from triptych.kit.chunks import by_count, by_weight, until_full

ALIKE = [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("weights", "limit", "expected"),
    [
        ([], 10, []),
        ([10], 10, [[10]]),
        ([11], 10, [[11]]),
        ([5, 5, 5], 10, [[5, 5], [5]]),
        ([5, 6], 10, [[5], [6]]),
        ([1, 11, 1], 10, [[1], [11], [1]]),
        ([0, 0, 0], 10, [[0, 0, 0]]),
        ([11, 0, 10, 0], 10, [[11], [0, 10, 0]]),
    ],
    ids=str,
)
def test_by_weight(weights: list[int], limit: int, expected: list[list[int]]) -> None:
    assert [list(chunk) for chunk in by_weight(weights, iter(weights), limit)] == expected


def test_random_sequences_are_cut_as_late_as_possible() -> None:
    chance = random.Random(7)
    for _ in range(500):
        weights = [chance.randint(0, 12) for _ in range(chance.randint(0, 30))]
        chunks = list(by_weight(weights, weights, 10))
        assert [weight for chunk in chunks for weight in chunk] == weights
        assert all(len(chunk) == 1 or (chunk and sum(chunk) <= 10) for chunk in chunks)
        assert all(sum(chunk) + following[0] > 10 for chunk, following in itertools.pairwise(chunks))


def test_a_sequence_that_fits_as_a_whole_is_not_copied() -> None:
    (chunk,) = by_weight(ALIKE, ALIKE, 16)
    assert chunk is ALIKE


def test_by_count() -> None:
    assert list(by_count([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(by_count((), 2)) == []


class Stream:
    """A stream that knows how much of it was read."""

    def __init__(self, items: Sequence[int]) -> None:
        self._items = items
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[int]:
        for item in self._items:
            self.read += 1
            yield item


async def test_a_chunk_of_a_stream_ends_with_the_item_that_reaches_a_bound() -> None:
    async def cut(items: Sequence[int]) -> list[list[int]]:
        return [chunk async for chunk in until_full(Stream(items), count=3, limit=10, weigh=lambda item: item)]

    assert await cut([]) == []
    assert await cut([1, 1, 1, 1]) == [[1, 1, 1], [1]]
    assert await cut([9, 9, 1]) == [[9, 9], [1]]
    assert await cut([50, 4, 6]) == [[50], [4, 6]]
    assert [chunk async for chunk in until_full(Stream(ALIKE), count=4)] == [ALIKE]


async def test_no_more_of_a_stream_is_read_than_the_chunk_needs() -> None:
    stream = Stream(range(100))
    async for chunk in until_full(stream, count=5):
        assert (chunk, stream.read) == ([0, 1, 2, 3, 4], 5)
        break
