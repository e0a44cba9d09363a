"""Stores jobs and parked commands in MongoDB, so that both survive any crash."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from triptych.command.domain.state import JobKind
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, ReceivedRecord, UnitOfWork
from triptych.command.store.documents import JOBS, PARKED
from triptych.command.store.received import record_document, record_of
from triptych.contract.codec.envelope import CommandEnvelope, decode_command
from triptych.contract.sizes import record_bytes
from triptych.kit.chunks import until_full
from triptych.kit.mongo.driver import ASCENDING, Database, Document, Session, UpdateOne
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.inserting import insert_all

JOBS_AT_ONCE = 20
"""Jobs that one batch of the cursor brings."""
MOVED_AT_ONCE = 500
PARKED_AT_ONCE, PARKED_BYTES = 200, 8 * 1024 * 1024
"""The most parked commands that are carried out at a time, and the most bytes of them."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job on a gallery.

    Its steps read and update `state`. When the steps are done, the parked commands are carried out or answered. The
    first of them is the command that asked for the job; with `again`, that command has still to be carried out.
    """

    job_id: str
    kind: JobKind
    command: ReceivedCommand
    state: dict[str, Any]
    again: bool
    step: int = 0
    """The number of steps that were taken."""

    @property
    def envelope(self) -> CommandEnvelope:
        """The command that asked for the job."""
        return self.command.envelope


@dataclass(frozen=True, slots=True)
class StoredJob:
    """The fields of a job that can be read even from a damaged document; `open` reads the rest.

    `step` is the number of steps that were taken, and `failures` how often the next step has failed.
    """

    job_id: str
    gallery_id: str
    partition: int
    step: int
    is_done: bool
    needs_sweep: bool
    """Whether all items of the gallery must be deleted, without events, before the parked commands are carried out."""
    failures: int
    document: Document

    def open(self) -> Job:
        """Read the job. Raises any exception if the document is damaged or another version wrote it."""
        document = self.document
        kind, state = JobKind(document["kind"]), {**document["state"]}
        return Job(self.job_id, kind, self.open_command(), state, bool(document["again"]), self.step)

    def open_command(self) -> ReceivedCommand:
        """Read the command that asked for the job. Raises like `open`."""
        return _parked_command(self.document)


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """The state of a job after step number `step`; None as state ends the job."""

    job_id: str
    step: int
    state: dict[str, Any] | None
    is_done: bool = False


class JobMovedOn(Exception):
    """Another task has already taken this step of the job."""


@dataclass(frozen=True, slots=True)
class UnreadableCommand:
    """A parked command that cannot be read; `record` is its original record, or None if that cannot be read either."""

    parked_id: str
    record: ReceivedRecord | None
    error: Exception


@dataclass(slots=True)
class ParkedCommands:
    """The first parked commands of one gallery."""

    commands: list[ReceivedCommand] = field(default_factory=list)
    unreadable: list[UnreadableCommand] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.commands or self.unreadable)


class JobStore:
    """The jobs and parked commands of one installation."""

    def __init__(self, database: Database, place: Callable[[str], int] | None = None) -> None:
        """`place` gives the partition of a gallery; by default, it is the one on which the command came.

        Commands that came before partitions were added are carried out on the gallery's former partition. Their jobs
        belong to the new one, whose owner continues when the former partition is finished.
        """
        self._place = place
        self._jobs = database[JOBS]
        self._parked = database[PARKED]
        self._number = 0

    async def insert(self, unit: UnitOfWork, ownership: Ownership, at: datetime, session: Session) -> None:
        """Insert the jobs and parked commands of a unit of work in the transaction of `session`."""
        jobs = [
            {
                "_id": str(CommandKey.of(command.envelope)),
                "kind": request.kind.value,
                "partition": self._partition(command),
                "galleryId": command.gallery_id,
                "state": request.state,
                "again": request.again,
                "isDone": False,
                "startedAt": at,
                "record": record_document(command.record),
            }
            for command, request in unit.jobs
        ]
        await insert_all(self._jobs, jobs, session)
        parked = [command for command in unit.parked if command.parked_id is None]
        await insert_all(self._parked, [self._parked_document(command, ownership) for command in parked], session)

    def _parked_document(self, command: ReceivedCommand, ownership: Ownership) -> Document:
        epoch = ownership.epoch(command.partition)
        self._number += 1
        return {
            "_id": f"{command.gallery_id}/{epoch}/{self._number}",
            "galleryId": command.gallery_id,
            "partition": self._partition(command),
            "epoch": epoch,
            "number": self._number,
            "record": record_document(command.record),
        }

    def _partition(self, command: ReceivedCommand) -> int:
        return command.partition if self._place is None else self._place(command.gallery_id)

    async def move(self, place: Callable[[str], int]) -> int:
        """Give jobs and parked commands to the present partitions of their galleries; the number of those that moved.

        Nobody may write meanwhile.
        """
        moved = 0
        for collection in (self._jobs, self._parked):
            async for documents in until_full(
                collection.find({}, {"galleryId": 1, "partition": 1}), count=MOVED_AT_ONCE
            ):
                writes = [
                    UpdateOne({"_id": document["_id"]}, {"$set": {"partition": partition}})
                    for document in documents
                    if (partition := place(str(document.get("galleryId")))) != document["partition"]
                ]
                if writes:
                    moved += (await collection.bulk_write(writes, ordered=False)).modified_count
        return moved

    async def apply(self, update: JobUpdate, session: Session) -> None:
        """Write a job's new state, or delete an ended job, in the transaction of `session`.

        Raises:
            JobMovedOn: the step was taken already; the transaction must not commit.
        """
        at_step = {"_id": update.job_id, "step": update.step or {"$not": {"$gt": 0}}}
        if update.state is None:
            is_applied = (await self._jobs.delete_one(at_step, session=session)).deleted_count == 1
        else:
            change = {"$set": {"state": update.state, "isDone": update.is_done, "step": update.step + 1}}
            is_applied = (await self._jobs.update_one(at_step, change, session=session)).matched_count == 1
        if not is_applied:
            raise JobMovedOn(f"job {update.job_id} is not at step {update.step} any more")

    async def unpark(self, parked_ids: Sequence[str]) -> None:
        """Delete commands that were carried out and answered; after a crash before this, they are answered again."""
        if parked_ids:
            await self._parked.delete_many({"_id": {"$in": list(parked_ids)}})

    async def quarantine(self, parked_id: str) -> None:
        """Detach an unreadable parked command from its gallery, so that nothing waits for it; its document stays."""
        await self._parked.update_one({"_id": parked_id}, {"$set": {"galleryId": f"unreadable/{parked_id}"}})

    async def open_jobs(self, partitions: Sequence[int]) -> AsyncIterator[StoredJob]:
        """The jobs of these partitions, oldest first."""
        found = self._jobs.find({"partition": {"$in": list(partitions)}}).sort("startedAt", ASCENDING)
        async for document in found.batch_size(JOBS_AT_ONCE):
            state = document.get("state")
            yield StoredJob(
                document["_id"],
                str(document.get("galleryId")),
                document["partition"],
                step if isinstance(step := document.get("step"), int) else 0,
                bool(document.get("isDone")),
                isinstance(state, dict) and bool(state.get("sweep")),
                int(document.get("failures", 0)),
                document,
            )

    async def note_failure(self, job_id: str, at: datetime) -> tuple[int, datetime]:
        """Count a failed step; the result is the number of failures in a row, and the time of the first."""
        failed = {
            "failures": {"$add": [{"$ifNull": ["$failures", 0]}, 1]},
            "failingSince": {"$ifNull": ["$failingSince", at]},
        }
        found = await self._jobs.find_one_and_update({"_id": job_id}, [{"$set": failed}], return_document=True)
        return (0, at) if found is None else (found["failures"], found["failingSince"])

    async def forget_failures(self, job_id: str) -> None:
        """Clear the count of failures after a step has succeeded."""
        await self._jobs.update_one({"_id": job_id}, {"$unset": {"failures": "", "failingSince": ""}})

    async def parked(self, gallery_id: str, count: int = PARKED_AT_ONCE) -> ParkedCommands:
        """The first parked commands of a gallery, in order: at least one, and more up to `count` and PARKED_BYTES."""
        found = self._parked.find({"galleryId": gallery_id}).sort([("epoch", ASCENDING), ("number", ASCENDING)])
        parked, size = ParkedCommands(), 0
        async for document in found.limit(count):
            record: ReceivedRecord | None = None
            try:
                record = record_of(document["record"], document["partition"])
                size += record_bytes(record.key, record.value, record.headers)
                if parked and size > PARKED_BYTES:
                    break
                parked.commands.append(_parked_command(document, document["_id"]))
            except Exception as error:  # noqa: BLE001 - another version or a person may have written anything
                parked.unreadable.append(UnreadableCommand(document["_id"], record, error))
        return parked


def _parked_command(document: Document, parked_id: str | None = None) -> ReceivedCommand:
    record = record_of(document["record"], document["partition"])
    envelope = decode_command(record.value, record.headers)
    return ReceivedCommand(document["partition"], document["galleryId"], envelope, record, parked_id)
