"""Ends long work that cannot be done: a dead letter of its command, an answer to its sender, and its gallery free."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from triptych.command.domain.decide import messages_of
from triptych.command.domain.state import Change, GalleryHead
from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, ReceivedRecord, UnitOfWork
from triptych.command.flow.executor import HANDLER_FAILED, Executor
from triptych.command.flow.reply_publisher import AddressedReply, ReplyPublisher
from triptych.command.store.jobs import JobStore, JobUpdate, StoredJob, UnreadableCommand
from triptych.command.store.loader import Loader
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID
from triptych.contract.codec.envelope import InvalidCommand, Undecodable
from triptych.contract.codec.events import gallery_deleted
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.kit.failures import RecordTooLarge
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.writemodel.galleries import Status

log = logging.getLogger(__name__)

FAULT_TEXT = "a fault of the service; the command was dead-lettered, and may be done in part"


class JobFailures:
    """What is done about jobs and parked commands that fail again and again, or cannot be read."""

    def __init__(
        self,
        executor: Executor,
        jobs: JobStore,
        loader: Loader,
        answers: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        new_event_id: Callable[[], str],
    ) -> None:
        self._executor = executor
        self._jobs = jobs
        self._loader = loader
        self._answers = answers
        self._dead_letters = dead_letters
        self._new_event_id = new_event_id

    async def end(self, stored: StoredJob, error: Exception) -> None:
        """Give up a job, or the first of the commands that have waited for it if it is done.

        The gallery stays as the steps so far have left it; a clone that is not complete is deleted. The outcome is
        stored, so that the command is answered as the first of those that wait, and not carried out again.

        Raises what `Executor.save` does, JobMovedOn among it.
        """
        if stored.is_done:
            await self._end_first_waiting(stored, error)
            return
        command = await self._command_of(stored)
        if command is None:
            log.error("the command of job %s cannot be told any more, nor its sender", stored.job_id)
        else:
            await self._keep(command.record, error)
        async with self._executor.turn:
            await self._executor.flush_outbox()
            now = datetime.now(UTC)
            workspace = await self._loader.load_head(stored.gallery_id)
            head, state = workspace.heads.get(stored.gallery_id), {}
            if head is not None and head.job == stored.job_id:
                state = {"sweep": True} if self._unblock_gallery(workspace, head, command, now) else {}
            if command is not None and not await self._loader.has_outcome(CommandKey.of(command.envelope)):
                workspace.record_job_outcome(command.envelope, _fault(command))
            update = JobUpdate(stored.job_id, stored.step, state, is_done=True)
            await self._executor.save(workspace, stored.partition, now, update)

    def _unblock_gallery(
        self, workspace: UnitOfWork, head: GalleryHead, command: PlacedCommand | None, now: datetime
    ) -> bool:
        """Bring the gallery into a state that may stay; whether its items have to go."""
        if head.status is Status.LIVE:
            return False
        if head.status is Status.DELETING:
            workspace.heads[head.gallery_id] = head._replace(status=Status.LIVE)
            return False
        after = head._replace(status=Status.DELETED)
        if command is None or head.sequence == 0:
            workspace.heads[head.gallery_id] = after
            return True
        # Nobody sees the clone before it is complete, and nobody shall see it shrink.
        after = after._replace(sequence=head.sequence + 1, total_items=0)
        event = gallery_deleted(self._new_event_id(), head.gallery_id, after.sequence, now)
        change = Change(after, events=(event,))
        workspace.record(command, change, messages_of(change, command.envelope))
        return True

    async def _command_of(self, stored: StoredJob) -> PlacedCommand | None:
        """The command that asked for the job; it is also the first of those that wait for it."""
        try:
            return stored.open_command()
        except Exception as error:  # noqa: BLE001 - whatever somebody or some version has made of the document
            log.warning("the document of job %s cannot be read: %r", stored.job_id, error)
        return next(iter((await self._jobs.waiting(stored.gallery_id, 1)).commands), None)

    async def _end_first_waiting(self, stored: StoredJob, error: Exception) -> None:
        waiting = await self._jobs.waiting(stored.gallery_id, 1)
        if not waiting:
            raise error
        for command in waiting.commands:
            await self._keep(command.record, error)
            await self._answers.publish([], [AddressedReply.to(command.envelope, command.partition, _fault(command))])
            await self._jobs.unpark([command.parked_id] if command.parked_id else [])
        await self.refuse(waiting.unreadable)

    async def refuse(self, unreadable: Sequence[UnreadableCommand]) -> None:
        """Put parked commands aside that cannot be read, and tell those of their senders that can be told."""
        for one in unreadable:
            if one.record is None:
                log.error("parked command %s has lost its record: %r", one.parked_id, one.error)
                await self._jobs.quarantine(one.parked_id)
                continue
            await self._keep(one.record, one.error)
            answer = _refusal(one.record, one.error)
            await self._answers.publish([], [answer] if answer is not None else [])
            await self._jobs.unpark([one.parked_id])

    async def _keep(self, record: ReceivedRecord, error: Exception) -> None:
        """Publish a dead letter, as far as the broker takes it."""
        try:
            await self._dead_letters.dead_letter(record, HANDLER_FAILED, repr(error))
        except RecordTooLarge:
            place = f"{record.topic}-{record.partition}@{record.offset}"
            log.exception("the dead letter of %s is too large for the broker: %r", place, error)


def _fault(command: PlacedCommand) -> Reply:
    error = ReplyError(code=ErrorCode.INTERNAL, message=FAULT_TEXT)
    return Reply(command_id=command.envelope.command_id, outcome="rejected", gallery_id=command.gallery_id, error=error)


def _refusal(record: ReceivedRecord, error: Exception) -> AddressedReply | None:
    """The answer to a command that was read when it came and is not any more; None if its sender cannot be told."""
    if not isinstance(error, InvalidCommand | Undecodable) or error.origin is None or error.origin.command_id is None:
        return None
    origin = error.origin
    violations = error.violations if isinstance(error, InvalidCommand) else []
    refused = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message=str(error), violations=violations)
    reply = Reply(command_id=origin.command_id or "", outcome="rejected", error=refused)
    correlation_id = origin.correlation_id or origin.command_id or ""
    return AddressedReply(reply, record.partition, origin.site_id or DEFAULT_SITE_ID, correlation_id, origin.reply_to)
