"""Keeps long work and the commands that wait for it in MongoDB, so that both survive any crash."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.envelope import CommandEnvelope, decode_command
from services.command.documents import JOBS, PARKED
from services.command.state import JobKind
from services.command.workspace import CommandKey, PlacedCommand, Received, Workspace
from services.kit.mongo import ASCENDING, Binary, Database, Document, Session
from services.kit.odd_names import restored_name, stored_name
from services.kit.ownership import Ownership

JOBS_AT_ONCE = 20
"""Read from the database: each holds the record of its command, up to a megabyte."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work in progress on a gallery.

    `state` is what its steps know and update; `is_done` once only the commands that wait for it are left to carry out
    or to answer. Its own command is the first of those, and with `again` it was not carried out yet.
    """

    job_id: str
    kind: JobKind
    command: PlacedCommand
    state: dict[str, Any]
    again: bool
    is_done: bool

    @property
    def envelope(self) -> CommandEnvelope:
        """The command that asked for it."""
        return self.command.envelope


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """How far a job has come; without state it has ended."""

    job_id: str
    state: dict[str, Any] | None
    is_done: bool = False


class JobStore:
    """Jobs and parked commands."""

    def __init__(self, database: Database) -> None:
        self._jobs = database[JOBS]
        self._parked = database[PARKED]
        self._number = 0

    async def insert(self, workspace: Workspace, ownership: Ownership, at: datetime, session: Session) -> None:
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
                "record": _record(command.record),
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
            "record": _record(command.record),
        }

    async def apply(self, update: JobUpdate, session: Session) -> None:
        """Add a job's progress to the transaction of `session`."""
        if update.state is None:
            await self._jobs.delete_one({"_id": update.job_id}, session=session)
        else:
            change = {"$set": {"state": update.state, "isDone": update.is_done}}
            await self._jobs.update_one({"_id": update.job_id}, change, session=session)

    async def unpark(self, parked_ids: Sequence[str]) -> None:
        """Forget commands that were carried out and answered; a crash before this has them answered again."""
        if parked_ids:
            await self._parked.delete_many({"_id": {"$in": list(parked_ids)}})

    async def open_jobs(self, partitions: Sequence[int]) -> AsyncIterator[Job]:
        """The jobs of these partitions, the oldest first."""
        found = self._jobs.find({"partition": {"$in": list(partitions)}}).sort("startedAt", ASCENDING)
        async for document in found.batch_size(JOBS_AT_ONCE):
            yield _job(document)

    async def parked_commands(self, gallery_id: str, count: int) -> list[PlacedCommand]:
        """The first commands that wait for the gallery, in order."""
        found = self._parked.find({"galleryId": gallery_id}).sort([("epoch", ASCENDING), ("number", ASCENDING)])
        return [_placed(document, document["_id"]) async for document in found.limit(count)]


def _record(record: Received) -> Document:
    return {
        "topic": record.topic,
        "offset": record.offset,
        "key": None if record.key is None else Binary(record.key),
        "value": Binary(record.value),
        "headers": [[stored_name(name), Binary(text)] for name, text in record.headers],
    }


def _placed(document: Document, parked_id: str | None = None) -> PlacedCommand:
    stored, partition = document["record"], document["partition"]
    key = None if stored["key"] is None else bytes(stored["key"])
    headers = [(restored_name(name), bytes(text)) for name, text in stored["headers"]]
    record = Received(stored["topic"], partition, stored["offset"], key, bytes(stored["value"]), headers)
    return PlacedCommand(partition, document["galleryId"], decode_command(record.value, headers), record, parked_id)


def _job(document: Document) -> Job:
    return Job(
        document["_id"],
        JobKind(document["kind"]),
        _placed(document),
        document["state"],
        document["again"],
        document["isDone"],
    )
