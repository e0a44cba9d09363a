"""Loads which sort orders of galleries are taken in a site, and reserves defaults that no two processes give twice."""

from collections import defaultdict
from collections.abc import Sequence

from triptych.command.domain.scope import of_kinds
from triptych.command.domain.unit_of_work import ReceivedCommand, UnitOfWork
from triptych.command.store.documents import GALLERY_PLACES
from triptych.contract.commands import CreateGallery, RestoreGallery, UpdateGallery
from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.transactions import reads_of_all_shards
from triptych.writemodel.galleries import GALLERIES

_ON_SORT_ORDERS = frozenset({CreateGallery, UpdateGallery, RestoreGallery})


class GallerySortOrders:
    """Sort orders of galleries (contract, section 4). Those of one site have many writers; those of items have one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._galleries = database[GALLERIES]
        self._counters = database[GALLERY_PLACES]

    async def load(self, unit: UnitOfWork, commands: Sequence[ReceivedCommand], now_ms: int) -> None:
        """Load which galleries have the requested sort orders; reserve one for each new gallery that asks for none."""
        asked: dict[str, list[float]] = defaultdict(list)
        missing: dict[str, int] = defaultdict(int)
        for command in of_kinds(commands, _ON_SORT_ORDERS):
            data, site_id = command.envelope.data, command.envelope.site_id
            if isinstance(data, CreateGallery | UpdateGallery):
                if data.gallery is not None and data.gallery.sort_order is not None:
                    asked[site_id].append(data.gallery.sort_order)
                elif isinstance(data, CreateGallery):
                    missing[site_id] += 1
            elif isinstance(data, RestoreGallery) and data.from_gallery_id is not None:
                missing[site_id] += 1
        for site_id in asked.keys() | missing.keys():
            explicit = asked[site_id]
            await self.add_taken(unit, site_id, explicit)
            free: list[float] = []
            while len(free) < missing[site_id]:
                reserved = await self._reserve(site_id, missing[site_id] - len(free), now_ms)
                await self.add_taken(unit, site_id, reserved)
                taken = unit.gallery_sort_orders
                free += [
                    sort_order
                    for sort_order in reserved
                    if (site_id, sort_order) not in taken and sort_order not in explicit
                ]
            unit.reserved_sort_orders[site_id] = free[::-1]

    async def add_taken(self, unit: UnitOfWork, site_id: str, values: Sequence[float]) -> None:
        """Load which galleries of a site have these sort orders."""
        if values:
            query = {"siteId": site_id, "sortOrder": {"$in": list(values)}}
            # A reservation may be refused for a gallery on another shard, which the next attempt has to see.
            async with reads_of_all_shards(self._database) as session:
                async for found in self._galleries.find(query, {"sortOrder": 1}, session=session):
                    unit.gallery_sort_orders[site_id, found["sortOrder"]] = found["_id"]

    async def _reserve(self, site_id: str, count: int, now_ms: int) -> list[float]:
        """Reserve `count` milliseconds that no other default of the site gets, in whichever process (D1)."""
        found = await self._counters.find_one_and_update(
            {"_id": site_id},
            [{"$set": {"last": {"$add": [{"$max": ["$last", float(now_ms - 1)]}, float(count)]}}}],
            upsert=True,
            return_document=True,
        )
        assert found is not None  # noqa: S101 - an upsert with `return_document` always returns a document
        last: float = found["last"]
        return [last - count + 1 + step for step in range(count)]
