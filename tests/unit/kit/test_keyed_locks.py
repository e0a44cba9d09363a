"""`KeyedLocks`: blocks with a key in common take turns, others run concurrently, and no two wait for each other."""

import asyncio

from triptych.kit.keyed_locks import KeyedLocks


async def test_blocks_with_a_common_key_take_turns_and_others_do_not_wait() -> None:
    locks: KeyedLocks[int] = KeyedLocks()
    events: list[str] = []
    leave = asyncio.Event()

    async def enter(name: str, *keys: int) -> None:
        async with locks.of(keys):
            events.append(name)
            if name == "first":
                await leave.wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(enter("first", 2, 1))
        group.create_task(enter("waits", 3, 2))
        await group.create_task(enter("other", 4))
        assert events == ["first", "other"]
        leave.set()
    assert events == ["first", "other", "waits"]


async def test_blocks_that_name_their_keys_in_any_order_never_wait_for_each_other() -> None:
    locks: KeyedLocks[int] = KeyedLocks()

    async def enter(*keys: int) -> None:
        for _ in range(10):
            async with locks.of(keys):
                await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await asyncio.gather(enter(1, 2, 3), enter(3, 2, 1), enter(2, 3), enter(1))


async def test_a_block_that_fails_or_is_cancelled_unlocks_its_keys() -> None:
    locks: KeyedLocks[int] = KeyedLocks()
    entered = asyncio.Event()

    async def stay() -> None:
        async with locks.of([1, 2]):
            entered.set()
            await asyncio.Event().wait()

    staying = asyncio.create_task(stay())
    await entered.wait()
    waiting = asyncio.create_task(stay())
    await asyncio.sleep(0)
    waiting.cancel()
    staying.cancel()
    await asyncio.wait({staying, waiting})
    async with asyncio.timeout(10), locks.of([1, 2]):
        pass


async def test_a_block_that_is_cancelled_before_it_has_all_its_keys_unlocks_those_it_has() -> None:
    locks: KeyedLocks[int] = KeyedLocks()

    async def enter(*keys: int) -> None:
        async with locks.of(keys):
            raise AssertionError("the second key is locked")

    async with asyncio.timeout(10), locks.of([2]):
        waiting = asyncio.create_task(enter(1, 2))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        async with locks.of([1]):
            pass
