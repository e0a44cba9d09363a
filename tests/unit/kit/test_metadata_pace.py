"""A producer asks for metadata a few times at once, then at a bounded rate; nobody who waits is forgotten."""

import asyncio

from aiokafka.client import AIOKafkaClient

from triptych.kit.kafka.publishing.metadata_pace import UPDATES, WINDOW_SECONDS, pace_updates


class _Client(AIOKafkaClient):  # type: ignore[misc]
    """A client whose server answers at once, or when a test says so."""

    def __init__(self) -> None:
        super().__init__(bootstrap_servers="127.0.0.1:1")
        self.updates = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def _metadata_update(self, cluster_metadata: object, topics: object) -> bool:
        await self.answering.wait()
        self.updates += 1
        return True


async def _started() -> tuple[_Client, asyncio.Task[None]]:
    client = _Client()
    pace_updates(client)
    return client, asyncio.create_task(client._md_synchronizer())


async def _asked_for(client: _Client, seconds: float) -> None:
    """Ask again as soon as there is an answer, as aiokafka's sender does while a leader is unknown."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while loop.time() < ends:
        assert await client.force_metadata_update()


async def test_who_asks_again_and_again_is_answered_at_a_bounded_rate() -> None:
    client, running = await _started()
    windows = 3
    await _asked_for(client, windows * WINDOW_SECONDS)
    running.cancel()
    assert UPDATES < client.updates <= (windows + 2) * UPDATES


async def test_the_first_updates_wait_for_nothing() -> None:
    client, running = await _started()
    async with asyncio.timeout(WINDOW_SECONDS / 2):
        for _ in range(UPDATES):
            assert await client.force_metadata_update()
    running.cancel()
    assert client.updates == UPDATES


async def test_all_who_wait_at_the_same_time_share_an_update() -> None:
    client, running = await _started()
    await _asked_for(client, WINDOW_SECONDS / 10)
    before = client.updates
    answers = await asyncio.gather(*(client.force_metadata_update() for _ in range(50)))
    running.cancel()
    assert set(answers) == {True}
    assert client.updates <= before + 2


async def test_an_update_that_is_under_way_is_waited_for_by_who_asks_meanwhile() -> None:
    client, running = await _started()
    client.answering.clear()
    waiting = [client.force_metadata_update() for _ in range(3 * UPDATES)]
    await asyncio.sleep(0)
    client.answering.set()
    async with asyncio.timeout(WINDOW_SECONDS / 2):
        assert await asyncio.gather(*waiting) == [True] * len(waiting)
    running.cancel()
    assert client.updates == 1
