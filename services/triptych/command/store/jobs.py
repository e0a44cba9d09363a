"""Keeps long work and the commands that wait for it in MongoDB, so that both survive any crash."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from triptych.command.domain.state import JobKind
from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, ReceivedRecord, UnitOfWork
from triptych.command.store.documents import JOBS, PARKED
from triptych.command.store.received import received, record_document
from triptych.contract.codec.envelope import CommandEnvelope, decode_command
from triptych.contract.sizes import record_bytes
from triptych.kit.mongo.driver import ASCENDING, Database, Document, Session
from triptych.kit.mongo.fencing import Ownership

JOBS_AT_ONCE = 20
"""Read from the database at a time."""
PARKED_AT_ONCE, PARKED_BYTES = 200, 8 * 1024 * 1024
"""Parked commands that are carried out at a time, and bytes of them."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work in progress on a gallery.

    `state` is what its steps know and update. Once it is done, only the commands that wait for it are left to carry out
    or to answer. Its own command is the first of those, and with `again` it was not carried out yet.
    """

    job_id: str
    kind: JobKind
    command: PlacedCommand
    state: dict[str, Any]
    again: bool
    step: int = 0
    """How many times it was advanced."""

    @property
    def envelope(self) -> CommandEnvelope:
        """The command that asked for it."""
        return self.command.envelope


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as far as it can be read whatever is wrong with its document; `open` reads the rest.

    `step` is how many times it was advanced, and `failures` how often the step that is due has failed.
    """

    job_id: str
    gallery_id: str
    partition: int
    step: int
    is_done: bool
    is_swept: bool
    """All items of the gallery have to go, without events, before the commands that wait for the job."""
    failures: int
    document: Document

    def open(self) -> Job:
        """The job. Raises whatever its document makes Python raise, if that is not what this version wrote."""
        document = self.document
        kind, state = JobKind(document["kind"]), {**document["state"]}
        return Job(self.job_id, kind, self.open_command(), state, bool(document["again"]), self.step)

    def open_command(self) -> PlacedCommand:
        """The command that asked for it. Raises in the same way."""
        return _placed(self.document)


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """How far a job has come from `step` on; without state it has ended."""

    job_id: str
    step: int
    state: dict[str, Any] | None
    is_done: bool = False


class JobMovedOn(Exception):
    """This step of a job was taken already."""


@dataclass(frozen=True, slots=True)
class UnreadableCommand:
    """A parked command that cannot be read; `record` is what it came as, if that at least can be told."""

    parked_id: str
    record: ReceivedRecord | None
    error: Exception


@dataclass(slots=True)
class ParkedCommands:
    """Parked commands of one gallery, the first of all that wait for it."""

    commands: list[PlacedCommand] = field(default_factory=list)
    unreadable: list[UnreadableCommand] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.commands or self.unreadable)


class JobStore:
    """Jobs and parked commands."""

    def __init__(self, database: Database) -> None:
        self._jobs = database[JOBS]
        self._parked = database[PARKED]
        self._number = 0

    async def insert(self, workspace: UnitOfWork, ownership: Ownership, at: datetime, session: Session) -> None:
        """Add the jobs and parked commands of a workspace to the transaction of `session`."""
        jobs = [
            {
                "_id": str(CommandKey.of(command.envelope)),
                "kind": request.kind.value,
                "partition": command.partition,
                "galleryId": command.gallery_id,
                "state": request.state,
                "again": request.again,
                "isDone": False,
                "startedAt": at,
                "record": record_document(command.record),
            }
            for command, request in workspace.jobs
        ]
        if jobs:
            await self._jobs.insert_many(jobs, session=session)
        waiting = [command for command in workspace.parked if command.parked_id is None]
        if waiting:
            await self._parked.insert_many(
                [self._parked_document(command, ownership) for command in waiting], session=session
            )

    def _parked_document(self, command: PlacedCommand, ownership: Ownership) -> Document:
        epoch = ownership.epoch(command.partition)
        self._number += 1
        return {
            "_id": f"{command.gallery_id}/{epoch}/{self._number}",
            "galleryId": command.gallery_id,
            "partition": command.partition,
            "epoch": epoch,
            "number": self._number,
            "record": record_document(command.record),
        }

    async def apply(self, update: JobUpdate, session: Session) -> None:
        """Add a job's progress to the transaction of `session`.

        Raises:
            JobMovedOn: the transaction must not be committed, or the step would be taken twice.
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
        """Forget commands that were carried out and answered; a crash before this has them answered again."""
        if parked_ids:
            await self._parked.delete_many({"_id": {"$in": list(parked_ids)}})

    async def quarantine(self, parked_id: str) -> None:
        """Let nobody wait any more for a parked command of which nothing can be read; its document stays."""
        await self._parked.update_one({"_id": parked_id}, {"$set": {"galleryId": f"unreadable/{parked_id}"}})

    async def open_jobs(self, partitions: Sequence[int]) -> AsyncIterator[StoredJob]:
        """The jobs of these partitions, the oldest first."""
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
        """Count a failed step; how many have failed one after the other by now, and since when."""
        failed = {
            "failures": {"$add": [{"$ifNull": ["$failures", 0]}, 1]},
            "failingSince": {"$ifNull": ["$failingSince", at]},
        }
        found = await self._jobs.find_one_and_update({"_id": job_id}, [{"$set": failed}], return_document=True)
        return (0, at) if found is None else (found["failures"], found["failingSince"])

    async def forget_failures(self, job_id: str) -> None:
        """A step has succeeded."""
        await self._jobs.update_one({"_id": job_id}, {"$unset": {"failures": "", "failingSince": ""}})

    async def waiting(self, gallery_id: str, count: int = PARKED_AT_ONCE) -> ParkedCommands:
        """The first commands that wait for the gallery, in order: one, and more up to `count` and PARKED_BYTES."""
        found = self._parked.find({"galleryId": gallery_id}).sort([("epoch", ASCENDING), ("number", ASCENDING)])
        waiting, size = ParkedCommands(), 0
        async for document in found.limit(count):
            record: ReceivedRecord | None = None
            try:
                record = received(document["record"], document["partition"])
                size += record_bytes(record.key, record.value, record.headers)
                if waiting and size > PARKED_BYTES:
                    break
                waiting.commands.append(_placed(document, document["_id"]))
            except Exception as error:  # noqa: BLE001 - whatever somebody or some version has made of the document
                waiting.unreadable.append(UnreadableCommand(document["_id"], record, error))
        return waiting


def _placed(document: Document, parked_id: str | None = None) -> PlacedCommand:
    record = received(document["record"], document["partition"])
    envelope = decode_command(record.value, record.headers)
    return PlacedCommand(record.partition, document["galleryId"], envelope, record, parked_id)
