"""Cuts what is long into chunks: consecutive pieces, bounded in number or weight. Weights are bytes, or items to write.

No chunk is empty. An item that exceeds the bound alone is a chunk of its own, or the last one of a chunk.
"""

import sys
from bisect import bisect_right
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


def by_count(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """Chunks of `count` items; the last one may have fewer."""
    for start in range(0, len(items), count):
        yield items[start : start + count]


def by_weight(items: Sequence[T], weights: Iterable[int], limit: int) -> Iterator[Sequence[T]]:
    """Chunks whose items weigh at most `limit` together, each as long as possible. `weights` has that of each item."""
    ends = list(accumulate(weights))
    start = done = 0
    while start < len(ends):
        end = max(start + 1, bisect_right(ends, done + limit, start))
        yield items if end - start == len(ends) else items[start:end]
        start, done = end, ends[end - 1]


async def until_full(
    items: AsyncIterable[T],
    *,
    count: int = sys.maxsize,
    limit: int = sys.maxsize,
    weigh: Callable[[T], int] = lambda _: 0,
) -> AsyncIterator[list[T]]:
    """Chunks of a stream. A chunk ends with the item that reaches either bound, and is yielded before more are read.

    Args:
        items: the stream.
        count: the number of items in a chunk.
        limit: the weight of a chunk. One item may exceed it.
        weigh: returns the weight of an item; without it, only the number counts.
    """
    chunk: list[T] = []
    weight = 0
    async for item in items:
        chunk.append(item)
        weight += weigh(item)
        if len(chunk) >= count or weight >= limit:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk
