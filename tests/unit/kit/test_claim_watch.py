"""A consumer claims its partitions again when another process has claimed them, unless the group takes them away."""

import asyncio
from typing import Any, cast

import pytest
from pymongo.errors import AutoReconnect

from triptych.kit.startup import claim_watch
from triptych.kit.startup.claim_watch import watching_claims


class Ownership:
    """Lost or not at each look; then it is not lost any more."""

    def __init__(self, *looks: bool | Exception) -> None:
        self._looks = list(looks)
        self.done = asyncio.Event()

    async def is_lost(self) -> bool:
        if not self._looks:
            self.done.set()
            return False
        look = self._looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look


class Consumer:
    """Notes how often its partitions are prepared again."""

    topic = label = "topic"

    def __init__(self) -> None:
        self.preparations = 0

    async def prepare_again(self) -> None:
        self.preparations += 1


@pytest.mark.parametrize(
    ("looks", "preparations"),
    [
        ((False, False), 0),
        ((True, False, True), 0),
        ((True, True), 1),
        ((True, AutoReconnect("away"), True), 1),
        ((True, True, False, True, True), 2),
    ],
)
async def test_partitions_are_prepared_again_when_claims_are_lost_twice_in_a_row(
    looks: tuple[bool | Exception, ...], preparations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_watch, "INTERVAL_SECONDS", 0.0)
    consumer, ownership = Consumer(), Ownership(*looks)
    async with watching_claims(cast("Any", consumer), cast("Any", ownership)), asyncio.timeout(20):
        await ownership.done.wait()
    assert consumer.preparations == preparations
