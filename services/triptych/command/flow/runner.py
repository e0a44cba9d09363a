"""Runs jobs step by step between the batches, and then carries out the commands that waited for them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from triptych.command.domain.decide import accepted, messages_of
from triptych.command.domain.state import Change, CommandContext, JobKind, Rejected
from triptych.command.domain.steps import STEP_ITEMS, Step, advance, advance_clone, page_of
from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.flow.executor import Executor
from triptych.command.flow.failed_work import JobFailures
from triptych.command.flow.former_states import FormerStates
from triptych.command.flow.restoration import Restoration
from triptych.command.flow.spans import in_its_span, step_span
from triptych.command.flow.step_retries import RETRY_PERIOD, pause_seconds, should_give_up
from triptych.command.flow.writer import ExclusiveWriter, Writer
from triptych.command.store.jobs import PARKED_AT_ONCE, Job, JobMovedOn, JobStore, JobUpdate, StoredJob
from triptych.command.store.loader import Loader
from triptych.command.store.staging import Staging
from triptych.kit.backoff import Backoff
from triptych.kit.failures import Fault, OwnershipLost, fault_of
from triptych.kit.logs.batch_lines import one_line_each
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import ASCENDING, DESCENDING
from triptych.kit.process.clock import utc_now
from triptych.kit.process.supervision import SUPERVISOR, progress, unlimited
from triptych.kit.process.waits import Trouble, waiting_for
from triptych.writemodel.galleries import Status

log = get_logger(__name__)

PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0


class JobRunner:
    """One task that does a step of each open job in turn, so that no job waits for the end of another."""

    def __init__(
        self,
        executor: Executor,
        writer: Writer,
        jobs: JobStore,
        loader: Loader,
        staging: Staging,
        failed_work: JobFailures,
        former_states: FormerStates,
        new_event_id: Callable[[], str],
        patience: timedelta = RETRY_PERIOD,
    ) -> None:
        self._executor = executor
        self._writer = writer
        self._jobs = jobs
        self._loader = loader
        self._staging = staging
        self._failed_work = failed_work
        self._former_states = former_states
        self._restoration = Restoration(loader, staging)
        self._new_event_id = new_event_id
        self._patience = patience
        self._retry_at: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._has_lost = False
        self._trouble = Trouble("long work to go on")

    def start(self, partitions: frozenset[int]) -> None:
        """Resume the jobs of these partitions, whichever process started them."""
        self._wake.set()
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._supervised(sorted(partitions)))

    def wake(self) -> None:
        """Look for jobs now, because a new one was stored."""
        self._wake.set()

    async def stop(self) -> None:
        """Stop, even in the middle of a step: the next owner resumes from the last commit."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._trouble.end()

    async def _supervised(self, partitions: list[int]) -> None:
        work = partial(self._run, partitions)
        async with SUPERVISOR.running("jobs", work, may_end=lambda: self._has_lost) as running:
            await asyncio.wait({running})

    async def _run(self, partitions: list[int]) -> None:
        self._has_lost = False
        backoff = Backoff(PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        is_swept = False
        while True:
            progress()
            self._wake.clear()
            has_jobs = has_advanced = False
            try:
                if not is_swept:
                    await self._staging.clear_ended()
                    is_swept = True
                async for job in self._jobs.open_jobs(partitions):
                    has_jobs = True
                    has_advanced = await self._try_step(job) or has_advanced
                    progress()
            except OwnershipLost:
                log.info("another process owns the partitions and continues their jobs")
                self._trouble.end()
                self._has_lost = True
                return
            except Exception as error:
                self._trouble.begin()
                if fault_of(error) is Fault.OURS:
                    log.exception("a round of jobs failed and is tried again")
                await backoff.pause()
                continue
            self._trouble.end()
            backoff.reset()
            if not has_jobs:
                with unlimited():
                    await self._wake.wait()
            elif not has_advanced:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _try_step(self, stored: StoredJob) -> bool:
        """Do a step of a job if it is due; a step that fails for its own reasons must not delay other jobs."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._retry_at.get(stored.job_id, 0.0):
            return False
        try:
            with waiting_for("a step of long work to end"):
                has_advanced = await self._step(stored)
            if stored.failures:
                await self._jobs.forget_failures(stored.job_id)
        except JobMovedOn:
            return True  # another task took the step; `stored` is outdated
        except Exception as error:
            if fault_of(error) is not Fault.OURS:
                raise
            log.exception("a step of a job failed", job_id=stored.job_id, gallery_id=stored.gallery_id)
            self._retry_at[stored.job_id] = loop.time() + await self._count_failure(stored, error)
            return False
        self._retry_at.pop(stored.job_id, None)
        return has_advanced

    async def _count_failure(self, stored: StoredJob, error: Exception) -> float:
        """Count a failure, and give the job up after enough of them; gives the seconds to wait before a retry."""
        now = utc_now()
        failures, since = await self._jobs.note_failure(stored.job_id, now)
        if should_give_up(failures, since, now, self._patience):
            try:
                await self._failed_work.give_up(stored, error)
                await self._staging.clear(stored.job_id)
            except JobMovedOn:
                return 0.0  # another task has taken the step
            except Exception as second_error:
                if fault_of(second_error) is not Fault.OURS:
                    raise
                log.exception(
                    "a job cannot be given up, which is tried again",
                    job_id=stored.job_id,
                    gallery_id=stored.gallery_id,
                )
            else:
                return 0.0
        return pause_seconds(failures, self._patience)

    async def _step(self, stored: StoredJob) -> bool:
        """Do one step of a job; False if it has to wait for another job."""
        if stored.is_done:
            await self._carry_out_parked(stored)
            return True
        job = stored.open()
        if job.kind in (JobKind.CLONE, JobKind.RESTORE) and "total" not in job.state:
            return await self._stage(job)
        async with self._writer.exclusive({job.command.partition}) as writer:
            with step_span(job) as span:
                await self._advance(in_its_span(job, span), writer)
        return True

    async def _advance(self, job: Job, writer: ExclusiveWriter) -> None:
        at = utc_now()
        envelope = job.envelope
        context = CommandContext(envelope.site_id, envelope.command_id, at, self._new_event_id, envelope.source)
        unit = await self._loader.load_head(job.command.gallery_id)
        head = unit.heads[job.command.gallery_id]
        assert head is not None  # noqa: S101 - a gallery with a job has a document
        try:
            if job.kind is JobKind.CLONE:
                staging, copied = job.state.get("staging"), job.state.get("copied", 0)
                bodies = await self._staging.page(job.job_id, staging, copied, STEP_ITEMS)
                step = advance_clone(job.state, head, bodies, context)
            elif job.kind is JobKind.RESTORE:
                step = await self._restoration.advance(job, unit, head, context)
            else:
                page = page_of(job.kind, job.state)
                items = await self._loader.page(
                    head.gallery_id,
                    page.bounds,
                    DESCENDING if page.is_descending else ASCENDING,
                    STEP_ITEMS,
                    has_bodies=job.kind not in (JobKind.CLEAR, JobKind.DELETE),
                )
                unit.load_items(items)
                step = advance(job.kind, job.state, head, items, context)
        except Rejected as rejected:
            await self._reject(job, unit, rejected, at, writer)
        else:
            await self._save(job, unit, step, at, writer)

    async def _save(self, job: Job, unit: UnitOfWork, step: Step, at: datetime, writer: ExclusiveWriter) -> None:
        envelope = job.envelope
        change = replace(step.change, head=step.change.head._replace(job=job.job_id))
        unit.record_change(job.command, change, messages_of(change, envelope))
        if step.is_last and not job.again:
            unit.record_job_outcome(envelope, accepted(envelope, change.head, None))
        update = JobUpdate(job.job_id, job.step, step.state, is_done=step.is_last)
        await writer.save(unit, at, update)

    async def _reject(
        self, job: Job, unit: UnitOfWork, rejected: Rejected, at: datetime, writer: ExclusiveWriter
    ) -> None:
        """End a job whose work is impossible: record the rejection, and let the gallery's parked commands continue."""
        envelope = job.envelope
        head = unit.heads[job.command.gallery_id]
        assert head is not None  # noqa: S101 - see above
        if head.status is Status.BUILDING:
            head = head._replace(status=Status.DELETED)
        unit.record_change(job.command, Change(head), [])
        unit.record_job_outcome(
            envelope,
            rejected.reply(envelope.command_id, head.gallery_id),
        )
        update = JobUpdate(job.job_id, job.step, job.state, is_done=True)
        await writer.save(unit, at, update)

    async def _stage(self, job: Job) -> bool:
        """Stage the source as of one moment, without a lock: the copy changes nothing that others see."""
        # A new name for each attempt: an outdated task may still be writing under its own.
        staging = self._new_event_id()
        try:
            state = await self._staged_state(job, staging)
        except Rejected as rejected:
            async with self._writer.exclusive({job.command.partition}) as writer:
                unit = await self._loader.load_head(job.command.gallery_id)
                await self._reject(job, unit, rejected, utc_now(), writer)
            return True
        if state is None:
            return False
        try:
            async with self._writer.exclusive({job.command.partition}) as writer:
                update = JobUpdate(job.job_id, job.step, state)
                await writer.save(UnitOfWork(), utc_now(), update)
        except (JobMovedOn, OwnershipLost):
            await self._staging.drop(job.job_id, staging)  # the job may have ended, so that nobody else does it
            raise
        return True

    async def _staged_state(self, job: Job, staging: str) -> dict[str, Any] | None:
        """The job's state once its source is staged; None if it has to wait. Raises Rejected."""
        if "at" in job.state:
            return await self._former_states.stage(job, staging, by_item=job.kind is JobKind.RESTORE)
        total = await self._staging.fill(job.job_id, staging, job.state["source"], job.envelope.site_id)
        return None if total is None else {**job.state, "total": total, "staging": staging}

    async def _carry_out_parked(self, job: StoredJob) -> None:
        """Carry out or answer some of the parked commands; end the job when no command is parked any more."""
        if job.needs_sweep:
            await self._loader.sweep(job.gallery_id)
        # After a failure, one at a time, to find the command that causes it.
        parked = await self._jobs.parked(job.gallery_id, 1 if job.failures else PARKED_AT_ONCE)
        if parked:
            with one_line_each():
                await self._failed_work.dead_letter_unreadable(parked.unreadable)
                result = await self._executor.carry_out(parked.commands, running_job=job.job_id)
            parked_ids = [command.parked_id for command in parked.commands if command.parked_id]
            await self._jobs.unpark([parked_id for parked_id in parked_ids if parked_id not in result.still_parked])
            if not result.still_parked:
                return
        if job.document.get("kind") in (JobKind.CLONE, JobKind.RESTORE):
            await self._staging.clear(job.job_id)  # as long as the job is there: after a failure, it is done again
        async with self._writer.exclusive({job.partition}) as writer:
            unit = await self._loader.load_head(job.gallery_id)
            head = unit.heads.get(job.gallery_id)
            if head is not None and head.job == job.job_id:
                if await self._jobs.parked(job.gallery_id, 1):
                    return  # a command was parked while this task waited for the lock
                unit.heads[job.gallery_id] = head._replace(job=None)
            # Otherwise one of the commands has started another job, and the remaining commands wait for that.
            update = JobUpdate(job.job_id, job.step, None)
            await writer.save(unit, utc_now(), update)
