"""Gives up jobs that cannot be done: dead-letters the command, answers its sender, and frees the gallery."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from triptych.command.domain.decide import messages_of
from triptych.command.domain.state import Change, GalleryHead
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, ReceivedRecord, UnitOfWork
from triptych.command.flow.answer_metrics import UNREADABLE, count_answers
from triptych.command.flow.reply_publisher import AddressedReply, ReplyPublisher
from triptych.command.flow.writer import Writer
from triptych.command.store.jobs import JobStore, JobUpdate, StoredJob, UnreadableCommand
from triptych.command.store.loader import Loader
from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID
from triptych.contract.codec.envelope import InvalidCommand, Undecodable
from triptych.contract.codec.events import gallery_deleted
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.kit.attribution import position_of
from triptych.kit.failures import RecordTooLarge
from triptych.kit.kafka.publishing.dead_letters import HANDLER_FAILED, DeadLetterPublisher
from triptych.kit.logs.batch_lines import one_line_each, report
from triptych.kit.logs.loggers import error_text, get_logger
from triptych.kit.process.clock import utc_now
from triptych.writemodel.galleries import Status

log = get_logger(__name__)

FAULT_TEXT = "internal error; the command was dead-lettered, and may be done in part"


class JobFailures:
    """Ends jobs and parked commands that keep failing or cannot be read."""

    def __init__(
        self,
        writer: Writer,
        jobs: JobStore,
        loader: Loader,
        reply_publisher: ReplyPublisher,
        dead_letters: DeadLetterPublisher,
        new_event_id: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._jobs = jobs
        self._loader = loader
        self._reply_publisher = reply_publisher
        self._dead_letters = dead_letters
        self._new_event_id = new_event_id

    async def give_up(self, stored: StoredJob, error: Exception) -> None:
        """Give up a job, or the first of its parked commands if the job is done.

        The gallery stays as the finished steps have left it; an incomplete clone is deleted. The outcome is stored, so
        that the job's command, the first of the parked commands, is answered and not carried out again.

        Raises what `ExclusiveWriter.save` raises, including JobMovedOn.
        """
        if stored.is_done:
            await self._give_up_first_parked(stored, error)
            return
        command = await self._command_of(stored)
        if command is None:
            log.error(
                "the command of a job cannot be read any more, and its sender is unknown",
                job_id=stored.job_id,
                gallery_id=stored.gallery_id,
            )
        else:
            await self._dead_letter(command.record, error)
        async with self._writer.exclusive({stored.partition}) as writer:
            now = utc_now()
            unit = await self._loader.load_head(stored.gallery_id)
            head, state = unit.heads.get(stored.gallery_id), {}
            if head is not None and head.job == stored.job_id:
                state = {"sweep": True} if self._unblock_gallery(unit, head, command, now) else {}
            if command is not None and not await self._loader.has_outcome(CommandKey.of(command.envelope)):
                unit.record_job_outcome(command.envelope, _fault_reply(command))
            update = JobUpdate(stored.job_id, stored.step, state, is_done=True)
            await writer.save(unit, now, update)

    def _unblock_gallery(
        self, unit: UnitOfWork, head: GalleryHead, command: ReceivedCommand | None, now: datetime
    ) -> bool:
        """Give the gallery a status that may stay; the result says whether its items have to be deleted."""
        if head.status is Status.LIVE:
            return False
        if head.status is Status.DELETING:
            unit.heads[head.gallery_id] = head._replace(status=Status.LIVE)
            return False
        after = head._replace(status=Status.DELETED)
        if command is None or head.sequence == 0:
            unit.heads[head.gallery_id] = after
            return True
        # No client sees the clone before it is complete, and none must see it shrink.
        after = after._replace(sequence=head.sequence + 1, total_items=0)
        event = gallery_deleted(self._new_event_id(), head.gallery_id, after.sequence, now)
        change = Change(after, events=(event,))
        unit.record_change(command, change, messages_of(change, command.envelope))
        return True

    async def _command_of(self, stored: StoredJob) -> ReceivedCommand | None:
        """The command that asked for the job, from the job's document or the first parked one; None if unreadable."""
        try:
            return stored.open_command()
        except Exception as error:  # noqa: BLE001 - another version or a person may have written anything
            log.warning(
                "the document of a job cannot be read", job_id=stored.job_id, gallery_id=stored.gallery_id, error=error
            )
        return next(iter((await self._jobs.parked(stored.gallery_id, 1)).commands), None)

    async def _give_up_first_parked(self, stored: StoredJob, error: Exception) -> None:
        parked = await self._jobs.parked(stored.gallery_id, 1)
        if not parked:
            raise error
        with one_line_each():
            for command in parked.commands:
                await self._dead_letter(command.record, error)
                reply = _fault_reply(command)
                await self._reply_publisher.publish([], [AddressedReply.to(command.envelope, command.partition, reply)])
                count_answers([(command.envelope.name, reply)])
                await self._jobs.unpark([command.parked_id] if command.parked_id else [])
            await self.dead_letter_unreadable(parked.unreadable)

    async def dead_letter_unreadable(self, unreadable: Sequence[UnreadableCommand]) -> None:
        """Dead-letter parked commands that cannot be read, and answer those whose senders are known."""
        for one in unreadable:
            if one.record is None:
                report(log, logging.ERROR, "parked commands have lost their records", [one], _described)
                await self._jobs.quarantine(one.parked_id)
                continue
            await self._dead_letter(one.record, one.error)
            addressed = _refusal_reply(one.record, one.error)
            answers = [addressed] if addressed is not None else []
            await self._reply_publisher.publish([], answers)
            count_answers((UNREADABLE, answer.reply) for answer in answers)
            await self._jobs.unpark([one.parked_id])

    async def _dead_letter(self, record: ReceivedRecord, error: Exception) -> None:
        """Publish a dead letter; log it if it is too large for the broker."""
        try:
            await self._dead_letters.dead_letter(record, HANDLER_FAILED, repr(error))
        except RecordTooLarge:
            log.exception(
                "a dead letter is too large for the broker", topic=record.topic, **position_of(record), error=error
            )


def _described(command: UnreadableCommand) -> dict[str, object]:
    return {"parked_id": command.parked_id, "error": error_text(command.error)}


def _fault_reply(command: ReceivedCommand) -> Reply:
    error = ReplyError(code=ErrorCode.INTERNAL, message=FAULT_TEXT)
    return Reply(command_id=command.envelope.command_id, outcome="rejected", gallery_id=command.gallery_id, error=error)


def _refusal_reply(record: ReceivedRecord, error: Exception) -> AddressedReply | None:
    """The reply to a command that could be read when it arrived but not now; None if its sender is unknown."""
    if not isinstance(error, InvalidCommand | Undecodable) or error.origin is None or error.origin.command_id is None:
        return None
    origin = error.origin
    violations = error.violations if isinstance(error, InvalidCommand) else []
    refused = ReplyError(code=ErrorCode.INVALID_ARGUMENT, message=str(error), violations=violations)
    reply = Reply(command_id=origin.command_id or "", outcome="rejected", error=refused)
    correlation_id = origin.correlation_id or origin.command_id or ""
    return AddressedReply(reply, record.partition, origin.site_id or DEFAULT_SITE_ID, correlation_id, origin.reply_to)
