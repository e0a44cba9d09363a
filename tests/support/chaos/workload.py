"""Sends mixed commands on the topic and over HTTP, from a seed, and records what was sent and acknowledged."""

import asyncio
import contextlib
import json
import random
import uuid
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.support.chaos.history import Answer, Command
from tests.support.command_mix import SITE, CommandMix, Sent
from tests.support.commands import TEXT, structured
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import raw_producer
from tests.support.plain_http import NO_TLS
from triptych.contract.identity import derived_item_id

OTHER_SITE = "other"
SITES = (SITE, OTHER_SITE)
GIVE_UP_SECONDS = 240.0


@dataclass(frozen=True)
class Pace:
    """How much is sent.

    Attributes:
        pause: seconds between two sendings of one producer.
        large_items: items of a large gallery; 1,200 are enough for long-running work.
        long_pause: seconds between two large galleries.
    """

    pause: float = 0.05
    large_items: int = 1_200
    long_pause: float = 15.0


def key_of(site: str) -> str:
    """The API key of a site."""
    return f"chaos-key-of-{site}"


def foreign_partition(gallery_id: str) -> int:
    """The partition that a producer with CRC-32 instead of murmur2 chooses."""
    return zlib.crc32(gallery_id.encode()) % PARTITIONS


class Workload:
    """What is sent, by several producers at once. `send` serves probes too."""

    def __init__(
        self,
        installation: Installation,
        producer: AIOKafkaProducer,
        gateways: Sequence[str],
        chance: random.Random,
        pace: Pace,
    ) -> None:
        self._topic = installation.topics.commands
        self._producer = producer
        self._gateways = gateways
        self._chance = chance
        self._pace = pace
        self._sent: dict[str, Command] = {}
        self.answers: list[Answer] = []
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def commands(self) -> list[Command]:
        """Every command that was sent."""
        return list(self._sent.values())

    async def send(self, sent: Sent, site: str = SITE, *, is_foreign: bool = False) -> None:
        """Publish a command; its acknowledgement is awaited in the background."""
        body = json.loads(sent.value)
        self._sent[sent.command_id] = _command_of(sent, body, site)
        partition = foreign_partition(sent.gallery_id) if is_foreign else None
        try:
            stored = await self._producer.send(
                self._topic, sent.value, sent.gallery_id.encode(), partition, headers=list(sent.headers)
            )
        except KafkaError:
            return  # not acknowledged
        task = asyncio.create_task(self._acknowledge(sent.command_id, stored))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def finish(self) -> None:
        """Wait until the broker has acknowledged or refused what was sent."""
        while self._pending:
            await asyncio.wait(set(self._pending))

    async def _acknowledge(self, command_id: str, stored: "asyncio.Future[Any]") -> None:
        with contextlib.suppress(KafkaError):
            await stored
            self._sent[command_id] = self._sent[command_id]._replace(is_acknowledged=True)

    async def hot(self) -> None:
        """A few galleries of one site that two producers change, one of them with another partitioner."""
        mix = CommandMix(self._chance, "hot", gallery_count=4, trouble=0.05)
        await self._mixed(mix, foreign_share=0.3)

    async def cold(self) -> None:
        """Many galleries of the other site, each changed rarely."""
        mix = CommandMix(self._chance, "cold", gallery_count=60, trouble=0.05, site=OTHER_SITE)
        await self._mixed(mix, foreign_share=0.0)

    async def _mixed(self, mix: CommandMix, foreign_share: float) -> None:
        while True:
            for sent in mix.batch(2):
                if _is_readable(sent):  # broken records are the subject of other tests
                    await self.send(sent, mix.site, is_foreign=self._chance.random() < foreign_share)
            await asyncio.sleep(self._pace.pause)

    async def long(self) -> None:
        """Large galleries: cloned while they are changed, cleared and deleted."""
        for number in range(1_000_000):
            gallery, copy = self._guid(), self._guid()
            name = f"long-{number}"
            await self._put(name, 0, "CreateGallery", gallery)
            for step in (1, 2, 3):
                await self._put(name, step, "CreateItems", gallery, items=[TEXT] * (self._pace.large_items // 3))
            ids = [derived_item_id(SITE, f"{name}-1", index, "tests") for index in range(3)]
            await self._put(name, 4, "CreateGallery", copy, cloneFromGalleryId=gallery)
            await self._put(name, 5, "UpdateItem", gallery, itemId=ids[0], item={"title": "changed"})
            await self._put(name, 6, "MoveItems", gallery, itemIds=ids[1:], to="start")
            await self._put(name, 7, "DeleteItems", gallery, itemIds=ids[:1])
            last = self._chance.choice(["ClearGallery", "DeleteGallery", "RebalanceItems"])
            await self._put(name, 8, last, gallery)
            await self._put(name, 9, "CreateItems", gallery, items=[TEXT])
            await self._put(name, 10, "DeleteGallery", copy)
            await asyncio.sleep(self._pace.long_pause)

    async def _put(self, name: str, step: int, kind: str, gallery: str, **data: Any) -> None:
        command_id = f"{name}-{step}"
        value = structured(kind, {"galleryId": gallery, **data}, id=command_id)
        await self.send(Sent(gallery, command_id, value))

    async def over_http(self, site: str) -> None:
        """Galleries that are made, changed and deleted by one client, which repeats requests under their keys."""
        async with httpx.AsyncClient(timeout=10, verify=NO_TLS, headers={"Authorization": key_of(site)}) as client:
            while True:
                created = await self._write(client, site, "CreateGallery", None, "POST", "", {"gallery": {"name": "h"}})
                if created is None:
                    continue
                gallery = str(created["gallery"]["id"])
                items: list[str] = []
                for _ in range(self._chance.randint(3, 12)):
                    await self._change(client, site, gallery, items)
                if self._chance.random() < 0.5:
                    await self._write(client, site, "DeleteGallery", gallery, "DELETE", f"/{gallery}", None)

    async def write_probe(self, gallery: str) -> None:
        """Add an item to a gallery over HTTP, and wait for the answer."""
        async with httpx.AsyncClient(timeout=10, verify=NO_TLS, headers={"Authorization": key_of(SITE)}) as client:
            await self._write(
                client, SITE, "CreateItems", gallery, "POST", f"/{gallery}/items", {"item": TEXT}, items=1
            )

    async def _change(self, client: httpx.AsyncClient, site: str, gallery: str, items: list[str]) -> None:
        kind = self._chance.choice(["create", "create", "update", "move", "delete"]) if items else "create"
        if kind == "create":
            made = await self._write(
                client, site, "CreateItems", gallery, "POST", f"/{gallery}/items", {"item": TEXT}, items=1
            )
            if made is not None:
                items.append(made["item"]["id"])
            return
        item = self._chance.choice(items)
        path = f"/{gallery}/items/{item}"
        if kind == "update":
            body = {"item": {"title": f"t{self._chance.randrange(100)}"}}
            await self._write(client, site, "UpdateItem", gallery, "PATCH", path, body)
        elif kind == "move":
            await self._write(client, site, "MoveItem", gallery, "POST", f"{path}/move", {"to": "end"})
        else:
            items.remove(item)
            await self._write(client, site, "DeleteItems", gallery, "DELETE", path, None)

    async def _write(
        self,
        client: httpx.AsyncClient,
        site: str,
        name: str,
        gallery: str | None,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        items: int | None = None,
    ) -> dict[str, Any] | None:
        """Send until a gateway has an outcome; then, sometimes, once more. The answer of a success."""
        await asyncio.sleep(self._pace.pause)
        request = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self._sent[request] = Command(request, name, site, gallery, items, is_acknowledged=False)
        found = None
        for _ in range(self._chance.choice([1, 1, 2])):
            answer = await self._until_answered(client, request, method, path, body)
            content: dict[str, Any] = {"outcome": "rejected", "error": {"status": answer.status_code}}
            if answer.is_success:
                found = answer.json()
                item = found.get("item", {}).get("id") if name == "CreateItems" else None
                named = gallery or found["gallery"]["id"]
                content = {"outcome": "accepted", "galleryId": named, "itemIds": [item] if item else None}
                self._sent[request] = self._sent[request]._replace(gallery=named, is_acknowledged=True)
            self.answers.append(Answer(request, "http", f"{method} {path} {answer.status_code}", content))
        return found

    async def _until_answered(
        self, client: httpx.AsyncClient, request: str, method: str, path: str, body: dict[str, Any] | None
    ) -> httpx.Response:
        while True:
            address = self._chance.choice(self._gateways)
            with contextlib.suppress(httpx.TransportError):
                answer = await client.request(
                    method,
                    f"{address}/progallery/v2/galleries{path}",
                    json=body,
                    headers={"Idempotency-Key": request},
                )
                if answer.status_code not in (429, 503, 504):
                    return answer
            await asyncio.sleep(0.2)

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


def _is_readable(sent: Sent) -> bool:
    try:
        return isinstance(json.loads(sent.value)["data"], dict)
    except (ValueError, KeyError, TypeError):
        return False


def _command_of(sent: Sent, body: dict[str, Any], site: str) -> Command:
    name, data = body["type"].rpartition(".")[2], body["data"]
    items = None
    if name == "CreateItems":
        items = len(data["items"])
    elif name == "CreateGallery" and "cloneFromGalleryId" not in data:
        items = len(data.get("gallery", {}).get("items", []))
    return Command(sent.command_id, name, site, sent.gallery_id, items, is_acknowledged=False)


@contextlib.asynccontextmanager
async def open_workload(
    installation: Installation, gateways: Sequence[str], chance: random.Random, pace: Pace
) -> AsyncIterator[Workload]:
    """A workload that sends nothing by itself: see `sending`."""
    async with raw_producer(
        installation.addresses.kafka_bootstrap, enable_idempotence=True, request_timeout_ms=60_000
    ) as producer:
        yield Workload(installation, producer, gateways, chance, pace)


@contextlib.asynccontextmanager
async def sending(workload: Workload) -> AsyncIterator[None]:
    """All producers send during the block; what they have begun is finished at its end, as far as it can be."""
    tasks = [
        asyncio.create_task(each)
        for each in (workload.hot(), workload.cold(), workload.long(), *(workload.over_http(site) for site in SITES))
    ]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()  # a producer ends only by a fault of its own
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(workload.finish(), GIVE_UP_SECONDS)
