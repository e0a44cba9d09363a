"""Finds the former state that a command asks for in the history, and stages it for the steps of its job."""

from typing import Any

from triptych.command.domain.state import Rejected
from triptych.command.domain.steps import STEP_ITEMS
from triptych.command.store.jobs import Job
from triptych.command.store.loader import Loader
from triptych.command.store.staging import Staging
from triptych.contract.replies import ErrorCode
from triptych.history.moments import Absence, Moment, NotShown
from triptych.history.queries import History
from triptych.kit.process.clock import unix_seconds

PATIENCE_SECONDS = 30.0
"""How long a job waits for the history, which is written after the events."""
_WORDS = {
    Absence.OFF: "no history is kept here",
    Absence.UNKNOWN: "the history does not have this gallery",
    Absence.NOT_REACHED: "the history has not come to this sequence",
    Absence.NOT_KEPT: "the history does not reach back to this moment",
    Absence.NOT_THERE: "the gallery was not there at this moment",
}


class FormerStates:
    """Former states of galleries, for jobs of the kinds clone and restore."""

    def __init__(self, history: History, loader: Loader, staging: Staging) -> None:
        self._history = history
        self._loader = loader
        self._staging = staging

    async def stage(self, job: Job, staging: str, *, by_item: bool) -> dict[str, Any] | None:
        """Stage the former state that a job asks for; the job's next state, or None if the history is not there yet.

        Args:
            job: its state has `source`, `at` (`sequence` or `time`) and `since`, as the command was decided.
            staging: names the attempt.
            by_item: whether staged items are found by their ids.

        Raises:
            Rejected: the history cannot show the gallery at this moment.
        """
        site_id, source, at = job.envelope.site_id, job.state["source"], job.state["at"]
        try:
            moment = await self._moment(site_id, source, at)
        except NotShown as reason:
            waited = unix_seconds() - job.state["since"] / 1000
            if reason.absence in (Absence.NOT_REACHED, Absence.UNKNOWN) and waited < PATIENCE_SECONDS:
                return None
            raise _rejected(source, reason) from None
        sort_order: Any = moment.gallery["sortOrder"]
        total, lowest = 0, None
        async for bodies in self._history.all_items(moment, STEP_ITEMS):
            await self._staging.add(job.job_id, staging, total, bodies, by_item=by_item)
            total += len(bodies)
            lowest = float(bodies[-1]["sortOrder"])
        return {
            **job.state,
            "total": total,
            "staging": staging,
            "lowest": lowest,
            "name": moment.gallery.get("name"),
            "sortOrder": float(sort_order),
        }

    async def _moment(self, site_id: str, gallery_id: str, at: dict[str, Any]) -> Moment:
        unit = await self._loader.load_head(gallery_id)
        head = unit.heads.get(gallery_id)
        if head is None or head.site_id != site_id:
            raise NotShown(Absence.NOT_THERE)
        reach = await self._history.reach(site_id, gallery_id)
        needed = min(at.get("sequence", head.sequence), head.sequence)
        if reach is None or reach.sequence < needed:
            raise NotShown(Absence.NOT_REACHED, None, reach.sequence if reach else None)
        if at.get("sequence", 0) > head.sequence:
            raise _rejected(gallery_id, NotShown(Absence.NOT_REACHED, None, reach.sequence))
        sequence = at.get("sequence") or await self._history.sequence_at(site_id, gallery_id, at["time"])
        return await self._history.moment(site_id, gallery_id, sequence)


def _rejected(gallery_id: str, reason: NotShown) -> Rejected:
    code = ErrorCode.NOT_FOUND if reason.absence is Absence.NOT_THERE else ErrorCode.FAILED_PRECONDITION
    data: dict[str, Any] = {"galleryId": gallery_id}
    if reason.earliest is not None:
        data["earliestSequence"] = reason.earliest
    if reason.complete_through is not None:
        data["completeThrough"] = reason.complete_through
    return Rejected(code, _WORDS[reason.absence], **data)
