"""Loads what a step of a restore needs, and has it decided (`triptych.command.domain.restoring`)."""

from collections.abc import Sequence

from triptych.command.domain import restoring
from triptych.command.domain.state import CommandContext, GalleryHead, StoredItem
from triptych.command.domain.steps import STEP_ITEMS, Step
from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.store.jobs import Job
from triptych.command.store.loader import Loader
from triptych.command.store.staging import Staging
from triptych.kit.mongo.driver import ASCENDING, DESCENDING


class Restoration:
    """The steps of jobs that bring galleries back to former states."""

    def __init__(self, loader: Loader, staging: Staging) -> None:
        self._loader = loader
        self._staging = staging

    async def advance(self, job: Job, unit: UnitOfWork, head: GalleryHead, context: CommandContext) -> Step:
        """The next step; `unit` gets what it changes.

        Raises:
            Rejected: the restore is impossible; only the first step raises it.
            InconsistentGallery: staged items are missing.
        """
        state, gallery_id = job.state, head.gallery_id
        match state.get("phase"):
            case restoring.DELETING:
                bounds = {"$lt": state["last"]} if "last" in state else None
                page = await self._loader.page(gallery_id, bounds, DESCENDING, STEP_ITEMS, has_bodies=False)
                kept = await self._staging.find(job.job_id, state["staging"], [item.item_id for item in page])
                kept |= await self._twins(job, [item for item in page if item.item_id not in kept])
                unit.load_items([item for item in page if item.item_id not in kept])
                return restoring.delete_others(state, head, page, kept, context)
            case restoring.PUTTING:
                bodies = await self._staging.page(job.job_id, state["staging"], state["done"], STEP_ITEMS)
                present = await self._loader.named(gallery_id, [body["id"] for body in bodies])
                sort_orders = [float(body["sortOrder"]) for body in bodies]
                at_them = await self._loader.at_sort_orders(gallery_id, sort_orders)
                others = [item for item in at_them if item.item_id not in present]
                former = await self._staging.find(job.job_id, state["staging"], [item.item_id for item in others])
                unit.load_items([*present.values(), *others])
                return restoring.put_back(state, head, bodies, present, others, former, context)
            case _:
                lowest = await self._loader.page(gallery_id, None, ASCENDING, 1, has_bodies=False)
                holder = await self._loader.find_gallery_at(unit, head.site_id, float(state["sortOrder"]))
                is_taken = holder is not None and holder != gallery_id
                first = lowest[0].sort_order if lowest else None
                return restoring.begin(state, head, first, is_taken, context)

    async def _twins(self, job: Job, items: Sequence[StoredItem]) -> frozenset[str]:
        """The ids of those items that are twins of former items which the gallery lacks (`restoring`)."""
        staging, gallery_id = job.state["staging"], job.command.gallery_id
        former = await self._staging.at_sort_orders(job.job_id, staging, [item.sort_order for item in items])
        if not former:
            return frozenset()
        there = await self._loader.named(gallery_id, [body["id"] for body in former.values()])
        missing = {sort_order: body for sort_order, body in former.items() if body["id"] not in there}
        same = await self._loader.named(gallery_id, [item.item_id for item in items if item.sort_order in missing])
        return frozenset(id_ for id_, item in same.items() if restoring.is_twin(item.body, missing))
