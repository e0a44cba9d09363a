"""A costly value is computed once for all who ask within a moment."""

import asyncio

import pytest

from triptych.kit.upgrading.presence import RunningProcess
from triptych.status.installation import services_without_process
from triptych.status.sharing import Shared


async def test_who_asks_at_the_same_time_or_soon_after_gets_the_same_value() -> None:
    now, computed = 0.0, 0

    async def compute() -> int:
        nonlocal computed
        computed += 1
        await asyncio.sleep(0)
        return computed

    shared = Shared(compute, 2.0, lambda: now)
    assert await asyncio.gather(*(shared.get() for _ in range(5))) == [1] * 5
    now = 1.9
    assert await shared.get() == 1
    now = 2.0
    assert await shared.get() == 2


async def test_a_failure_is_not_kept() -> None:
    answers: list[Exception | str] = [ValueError("away"), "here"]

    async def compute() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = Shared(compute, 2.0, lambda: 0.0)
    with pytest.raises(ValueError, match="away"):
        await shared.get()
    assert await shared.get() == "here"


def test_a_service_without_a_process_is_named() -> None:
    running = [RunningProcess(service, "host-1", "1", 1) for service in ("gateway", "command", "gateway")]
    assert services_without_process(running) == ["projector", "webhooks"]
