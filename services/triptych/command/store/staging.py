"""Stages a gallery as of one moment, in display order, for a clone that is made step by step."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from triptych.command.domain.state import Rejected
from triptych.command.domain.steps import STEP_BYTES, STEP_ITEMS
from triptych.command.store.documents import JOBS, STAGED, body_of, stored_body
from triptych.command.store.pages import fill_page
from triptych.contract.replies import ErrorCode
from triptych.kit.chunks import until_full
from triptych.kit.mongo.driver import DESCENDING, Database, aggregate, snapshot_session
from triptych.kit.process.supervision import progress
from triptych.writemodel.galleries import GALLERIES, ITEMS, Status


class Staging:
    """Staged items: `{_id: staging/position, job, staging, position, body}`; `staging` names the attempt.

    Items that are found by their ids have `staging/item` as `_id`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._galleries = database[GALLERIES]
        self._items = database[ITEMS]
        self._staged = database[STAGED]
        self._jobs = database[JOBS]

    async def fill(self, job_id: str, staging: str, source_id: str, site_id: str) -> int | None:
        """Stage all items of the source, a few in memory at a time; their number, or None if a job works on the source.

        Items that other attempts staged stay until the job ends: an outdated task must not delete those of a newer one.

        Raises:
            Rejected: the source does not exist any more.
        """
        async with snapshot_session(self._database) as session:
            head = await self._galleries.find_one({"_id": source_id, "siteId": site_id}, session=session)
            if head is None or head["status"] != Status.LIVE:
                raise Rejected(ErrorCode.NOT_FOUND, "gallery to clone not found", galleryId=source_id)
            if head["job"] is not None:
                return None
            names, position = {"job": job_id, "staging": staging}, 0
            found = self._items.find({"galleryId": source_id}, session=session).sort("sortOrder", DESCENDING)
            bodies = (body_of(item["item"]) async for item in found)
            async for page in until_full(bodies, count=STEP_ITEMS, limit=STEP_BYTES, weigh=_size):
                staged = [
                    {**names, "_id": f"{staging}/{number}", "position": number, "body": stored_body(body)}
                    for number, body in enumerate(page, position)
                ]
                await self._staged.insert_many(staged, ordered=False)
                progress()
                position += len(page)
            return position

    async def add(
        self, job_id: str, staging: str, first: int, bodies: Sequence[dict[str, Any]], *, by_item: bool
    ) -> None:
        """Stage more items of a former state, from position `first` on.

        With `by_item`, they can be found by their ids and sort orders.
        """
        staged = [
            {
                "_id": f"{staging}/{body['id'] if by_item else position}",
                "job": job_id,
                "staging": staging,
                "position": position,
                **({"sortOrder": float(body["sortOrder"])} if by_item else {}),
                "body": stored_body(body),
            }
            for position, body in enumerate(bodies, first)
        ]
        await self._staged.insert_many(staged, ordered=False)
        progress()

    async def find(self, job_id: str, staging: str, item_ids: Iterable[str]) -> frozenset[str]:
        """Which of these items are staged, if they were staged by item."""
        ids = {f"{staging}/{item_id}": item_id for item_id in item_ids}
        found = self._staged.find({"_id": {"$in": list(ids)}, "job": job_id}, {"_id": 1})
        return frozenset([ids[staged["_id"]] async for staged in found])

    async def at_sort_orders(self, job_id: str, staging: str, values: Iterable[float]) -> dict[float, dict[str, Any]]:
        """The bodies of staged items that have these sort orders, by sort order, if they were staged by item."""
        query = {"job": job_id, "sortOrder": {"$in": list(values)}, "staging": staging}
        return {staged["sortOrder"]: body_of(staged["body"]) async for staged in self._staged.find(query)}

    async def page(self, job_id: str, staging: str | None, first: int, count: int) -> list[dict[str, Any]]:
        """The bodies of staged items from position `first` on, in display order, up to `count` items and STEP_BYTES."""
        query = {"job": job_id, "staging": staging, "position": {"$gte": first, "$lt": first + count}}
        return [staged["body"] for staged in await fill_page(self._staged.find(query).sort("position"), "body")]

    async def drop(self, job_id: str, staging: str) -> None:
        """Delete what one attempt has staged for a job."""
        await self._staged.delete_many({"job": job_id, "staging": staging})

    async def clear(self, job_id: str) -> None:
        """Delete everything that was staged for a job."""
        await self._staged.delete_many({"job": job_id})

    async def clear_ended(self) -> int:
        """Delete what was staged for jobs that have ended; the number of these jobs.

        A process that was paused or killed in the middle of an attempt may have staged it after the end of the job.
        """
        staged_for = [found["_id"] for found in await aggregate(self._staged, [{"$group": {"_id": "$job"}}])]
        if not staged_for:
            return 0
        # Read afterwards: a job that begins meanwhile is not among those for which something was staged.
        open_jobs = {found["_id"] async for found in self._jobs.find({"_id": {"$in": staged_for}}, {"_id": 1})}
        ended = [job_id for job_id in staged_for if job_id not in open_jobs]
        for job_id in ended:
            await self.clear(job_id)
        return len(ended)


def _size(body: dict[str, Any]) -> int:
    return len(orjson.dumps(body))
