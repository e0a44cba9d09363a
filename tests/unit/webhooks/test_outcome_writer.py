"""One outcome that cannot be written keeps no other from being written."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from triptych.kit.mongo.driver import UpdateOne
from triptych.webhooks.relay.outcome_writer import OutcomeWriter


class Picky:
    """Writes everything except what is marked as bad; knows what it has written."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def write(self, outcomes: Sequence[UpdateOne]) -> int:
        """All or nothing, as when a document cannot be encoded."""
        ids = [outcome._filter["_id"] for outcome in outcomes]
        if "bad" in ids:
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        self.written += ids
        return 0


async def test_a_bad_outcome_fails_alone() -> None:
    repository: Any = Picky()
    outcome_writer = OutcomeWriter(repository)
    running = asyncio.create_task(outcome_writer.run())
    outcomes = [UpdateOne({"_id": name}, {"$set": {"a": 1}}) for name in ("a", "bad", "b")]
    try:
        results = await asyncio.gather(*(outcome_writer.record(one) for one in outcomes), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), UnicodeEncodeError, type(None)]
        assert sorted(repository.written) == ["a", "b"]
        with pytest.raises(UnicodeEncodeError):
            await outcome_writer.record(outcomes[1])
        assert not running.done()
    finally:
        running.cancel()
