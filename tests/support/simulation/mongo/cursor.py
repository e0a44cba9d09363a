"""The results of a query."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from tests.support.simulation.mongo.matching import Document


class Cursor:
    """The results of a query, which is sent when the first of them is needed."""

    def __init__(self, fetch: Callable[["Cursor"], Any]) -> None:
        self._fetch = fetch
        self.order: list[tuple[str, int]] = []
        self.first = 0
        self.most = 0

    @property
    def end(self) -> int | None:
        """The number of the first result that is not wanted any more."""
        return self.first + self.most if self.most else None

    def sort(self, keys: str | Sequence[tuple[str, int]], direction: int = 1) -> "Cursor":
        """Sort the results."""
        self.order = [(keys, direction)] if isinstance(keys, str) else list(keys)
        return self

    def limit(self, most: int) -> "Cursor":
        """Give no more results than this; 0 for all."""
        self.most = most
        return self

    def skip(self, count: int) -> "Cursor":
        """Leave out the first results."""
        self.first = count
        return self

    def batch_size(self, _: int) -> "Cursor":
        """Results come in one batch here."""
        return self

    async def to_list(self, _: int | None = None) -> list[Document]:
        """All results."""
        found: list[Document] = await self._fetch(self)
        return found

    async def __aiter__(self) -> AsyncIterator[Document]:
        for document in await self.to_list():
            yield document
