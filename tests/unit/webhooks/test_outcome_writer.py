"""An outcome that cannot be written does not keep others from being written."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from triptych.kit.mongo.driver import UpdateOne
from triptych.webhooks.relay.outcome_writer import OutcomeWriter


class RefusingRepository:
    """Refuses every write that contains the outcome `bad`, and keeps the ids of the others."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def write(self, outcomes: Sequence[UpdateOne]) -> int:
        """Write all outcomes or none, as when a document cannot be encoded."""
        ids = [outcome._filter["_id"] for outcome in outcomes]
        if "bad" in ids:
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        self.written += ids
        return 0


async def test_a_bad_outcome_fails_alone() -> None:
    repository: Any = RefusingRepository()
    outcome_writer = OutcomeWriter(repository)
    outcomes = [UpdateOne({"_id": name}, {"$set": {"a": 1}}) for name in ("a", "bad", "b")]
    results = await asyncio.gather(*(outcome_writer.record(one) for one in outcomes), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), UnicodeEncodeError, type(None)]
    assert sorted(repository.written) == ["a", "b"]
    with pytest.raises(UnicodeEncodeError):
        await outcome_writer.record(outcomes[1])
    await outcome_writer.record(outcomes[2])


async def test_outcomes_that_mongodb_did_not_take_are_written_again_and_each_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("triptych.webhooks.relay.outcome_writer.WRITTEN_AT_ONCE", 1)
    repository: Any = RefusingRepository()
    write, calls = repository.write, 0

    async def fail_at_the_second(outcomes: Sequence[UpdateOne]) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise AutoReconnect("away")
        return int(await write(outcomes))

    repository.write = fail_at_the_second
    outcome_writer = OutcomeWriter(repository)
    outcomes = [UpdateOne({"_id": name}, {"$set": {"a": 1}}) for name in ("a", "b", "c")]
    await asyncio.gather(*(outcome_writer.record(one) for one in outcomes))
    assert repository.written == ["a", "b", "c"]
