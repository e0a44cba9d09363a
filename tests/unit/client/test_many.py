"""Items by the thousand are sent in chunks that follow from the items alone, a few at a time."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_examples import GALLERY_ID
from tests.support.volume import examples
from triptych.client import CommandRejected, Commands, create_many
from triptych.client.commands.many import CHUNK_BYTES, IN_FLIGHT, chunks_of
from triptych.contract.item import NewItem
from triptych.contract.replies import ErrorCode, Reply, ReplyError

ITEM: dict[str, Any] = {"text": {"html": "x"}}


class Recorded:
    """Plays `Commands`; a command is answered when it is allowed."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, str | None]] = []
        self.allowed = asyncio.Semaphore(0)
        self.refused: str | None = None

    async def create_items(
        self, _gallery_id: str, items: list[Any], *, to: str | None = None, command_id: str, **_options: Any
    ) -> Reply:
        self.sent.append((command_id, len(items), to))
        await self.allowed.acquire()
        if command_id == self.refused:
            error = ReplyError(code=ErrorCode.NOT_FOUND, message="no gallery")
            raise CommandRejected(Reply(command_id=command_id, outcome="rejected", error=error))
        return Reply(command_id=command_id, outcome="accepted")


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_replies_come_in_order_and_few_commands_are_on_their_way() -> None:
    commands, found = Recorded(), list[str]()

    async def run() -> None:
        many = create_many(cast("Commands", commands), GALLERY_ID, iter([ITEM] * 5_001), command_id="import")
        found.extend([reply.command_id async for reply in many])

    running = asyncio.create_task(run())
    await settle()
    assert commands.sent == [("import/0", 500, "end")]
    commands.allowed.release()
    await settle()
    assert len(commands.sent) == 1 + IN_FLIGHT
    for _ in range(11):
        commands.allowed.release()
        await settle()
    await running
    assert found == [f"import/{number}" for number in range(11)]
    assert [count for _, count, _ in commands.sent] == [500] * 10 + [1]


async def test_the_first_failure_ends_it_and_leaves_nothing_behind() -> None:
    commands = Recorded()
    commands.refused = "import/1"
    for _ in range(2):
        commands.allowed.release()
    with pytest.raises(CommandRejected):
        async for _ in create_many(cast("Commands", commands), GALLERY_ID, [ITEM] * 9_000, command_id="import"):
            pass
    assert len(commands.sent) == 1 + IN_FLIGHT
    assert len(asyncio.all_tasks()) == 1


@given(st.lists(st.integers(0, 3), max_size=40))
@settings(max_examples=examples(30), deadline=None, derandomize=True)
def test_chunks_have_all_items_in_order_within_their_bounds(sizes: list[int]) -> None:
    items = [{"title": str(number), "text": {"html": "x" * (90_000 * size)}} for number, size in enumerate(sizes)]
    chunks = list(chunks_of(items))
    assert [item for chunk in chunks for item in chunk] == items
    for chunk in chunks:
        assert len(chunk) == 1 or sum(len(str(item)) for item in chunk) < CHUNK_BYTES + 50 * len(chunk)


def test_models_and_dictionaries_are_chunked_alike() -> None:
    assert [len(chunk) for chunk in chunks_of([ITEM, NewItem.model_validate(ITEM)] * 300)] == [500, 100]
