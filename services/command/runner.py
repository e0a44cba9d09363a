"""Does long work step by step beside the batches, and then carries out the commands that have waited for it."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from schemas.replies import Reply
from services.command.executor import Executor
from services.command.fingerprints import fingerprint_of
from services.command.handlers import accepted, messages_of
from services.command.jobs import Job, JobStore, JobUpdate
from services.command.loading import Loader
from services.command.staging import Staging
from services.command.state import Change, JobKind, Origin, Rejected, Status
from services.command.steps import STEP_ITEMS, Step, advance, advance_clone, page_of
from services.command.workspace import CommandKey, Workspace
from services.kit.failures import OwnershipLost, TransientFailure
from services.kit.mongo import ASCENDING, DESCENDING, is_transient

log = logging.getLogger(__name__)

PARKED_AT_ONCE = 200
PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0


class JobRunner:
    """One task that goes round all open jobs, one step each, so that none waits for the end of another."""

    def __init__(
        self,
        executor: Executor,
        jobs: JobStore,
        loader: Loader,
        staging: Staging,
        new_event_id: Callable[[], str],
    ) -> None:
        self._executor = executor
        self._jobs = jobs
        self._loader = loader
        self._staging = staging
        self._new_event_id = new_event_id
        self._put_off: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, partitions: frozenset[int]) -> None:
        """Go on with the jobs of these partitions, whoever started them."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(sorted(partitions)))

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    async def stop(self) -> None:
        """End after the step in hand, or in the middle of it: the next owner goes on from the last commit."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, partitions: list[int]) -> None:
        pause = PAUSE_SECONDS
        while True:
            self._wake.clear()
            has_jobs = has_advanced = False
            try:
                async for job in self._jobs.open_jobs(partitions):
                    has_jobs = True
                    has_advanced = await self._try(job) or has_advanced
            except OwnershipLost:
                log.info("long work goes on elsewhere")
                return
            except Exception as error:
                if not isinstance(error, TransientFailure) and not is_transient(error):
                    log.exception("long work is interrupted and tried again")
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            pause = PAUSE_SECONDS
            if not has_jobs:
                await self._wake.wait()
            elif not has_advanced:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _try(self, job: Job) -> bool:
        """A step of a job, if it is not put off; one that fails for reasons of its own must not hold up the others."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._put_off.get(job.job_id, 0.0):
            return False
        try:
            has_advanced = await self._step(job)
        except Exception as error:
            if isinstance(error, TransientFailure | OwnershipLost) or is_transient(error):
                raise
            log.exception("a step of job %s failed and is tried again", job.job_id)
            self._put_off[job.job_id] = loop.time() + LONGEST_PAUSE_SECONDS
            return False
        self._put_off.pop(job.job_id, None)
        return has_advanced

    async def _step(self, job: Job) -> bool:
        """One step of a job; False if it has to wait for something else."""
        if job.is_done:
            await self._drain(job)
            return True
        if job.kind is JobKind.CLONE and "total" not in job.state:
            return await self._stage(job)
        async with self._executor.turn:
            await self._executor.catch_up()
            await self._advance(job)
        return True

    async def _advance(self, job: Job) -> None:
        at = datetime.now(UTC)
        envelope = job.envelope
        origin = Origin(envelope.site_id, envelope.command_id, at, self._new_event_id, envelope.source)
        workspace = await self._loader.load_head(job.command.gallery_id)
        head = workspace.heads[job.command.gallery_id]
        assert head is not None  # noqa: S101 - a gallery with a job has a document
        try:
            if job.kind is JobKind.CLONE:
                bodies = await self._staging.page(job.job_id, job.state.get("copied", 0), STEP_ITEMS)
                step = advance_clone(job.state, head, bodies, origin)
            else:
                page = page_of(job.kind, job.state)
                items = await self._loader.page(
                    head.gallery_id, page.bounds, DESCENDING if page.is_descending else ASCENDING, STEP_ITEMS
                )
                workspace.load_items(items)
                step = advance(job.kind, job.state, head, items, origin)
        except Rejected as rejected:
            await self._reject(job, workspace, rejected, at)
        else:
            await self._save(job, workspace, step, at)

    async def _save(self, job: Job, workspace: Workspace, step: Step, at: datetime) -> None:
        envelope = job.envelope
        change = replace(step.change, head=step.change.head._replace(job=job.job_id))
        workspace.record(job.command, change, messages_of(change, envelope))
        if step.is_last and not job.again:
            _settle(workspace, job, accepted(envelope, change.head, None))
        update = JobUpdate(job.job_id, step.state, is_done=step.is_last)
        await self._executor.save(workspace, job.command.partition, at, update)
        if step.is_last and job.kind is JobKind.CLONE:
            await self._staging.clear(job.job_id)

    async def _reject(self, job: Job, workspace: Workspace, rejected: Rejected, at: datetime) -> None:
        """The work turns out to be impossible: answer so, and let the gallery's other commands go on."""
        envelope = job.envelope
        head = workspace.heads[job.command.gallery_id]
        assert head is not None  # noqa: S101 - see above
        if head.status is Status.BUILDING:
            head = head._replace(status=Status.DELETED)
        workspace.record(job.command, Change(head), [])
        _settle(workspace, job, rejected.reply(envelope.command_id, head.gallery_id))
        update = JobUpdate(job.job_id, job.state, is_done=True)
        await self._executor.save(workspace, job.command.partition, at, update)

    async def _stage(self, job: Job) -> bool:
        """Copy the source aside as it is at one moment; nobody waits for that, since nothing of it is seen yet."""
        source = job.state["source"]
        try:
            total = await self._staging.fill(job.job_id, source, job.envelope.site_id)
        except Rejected as rejected:
            async with self._executor.turn:
                await self._executor.catch_up()
                workspace = await self._loader.load_head(job.command.gallery_id)
                await self._reject(job, workspace, rejected, datetime.now(UTC))
            return True
        if total is None:
            return False
        async with self._executor.turn:
            await self._executor.catch_up()
            update = JobUpdate(job.job_id, {**job.state, "total": total})
            await self._executor.save(Workspace(), job.command.partition, datetime.now(UTC), update)
        return True

    async def _drain(self, job: Job) -> None:
        """Carry out or answer some of the commands that have waited; end the job when it is no longer waited for."""
        gallery_id = job.command.gallery_id
        waiting = await self._jobs.parked_commands(gallery_id, PARKED_AT_ONCE)
        if waiting:
            outcome = await self._executor.carry_out([lambda: waiting], running_job=job.job_id)
            parked = [command.parked_id for command in waiting if command.parked_id]
            await self._jobs.unpark([parked_id for parked_id in parked if parked_id not in outcome.waiting])
            if not outcome.waiting:
                return
        async with self._executor.turn:
            await self._executor.catch_up()
            workspace = await self._loader.load_head(gallery_id)
            head = workspace.heads[gallery_id]
            if head is not None and head.job == job.job_id:
                if await self._jobs.parked_commands(gallery_id, 1):
                    return  # it came while we waited for our turn
                workspace.record(job.command, Change(head._replace(job=None)), [])
            # Otherwise one of the commands has started another job, which the rest of them wait for.
            update = JobUpdate(job.job_id, None)
            await self._executor.save(workspace, job.command.partition, datetime.now(UTC), update)


def _settle(workspace: Workspace, job: Job, reply: Reply) -> None:
    """Replace what was recorded when the work began."""
    key = CommandKey.of(job.envelope)
    workspace.begun.add(key)
    workspace.settle(key, fingerprint_of(job.envelope), reply)
