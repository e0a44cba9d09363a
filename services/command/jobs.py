"""Keeps long work and the commands that wait for it in MongoDB, so that both survive any crash."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.envelope import CommandEnvelope, Headers, decode_command
from services.command.documents import JOBS, PARKED
from services.command.state import JobKind
from services.command.workspace import CommandKey, PlacedCommand, Workspace
from services.kit.mongo import ASCENDING, Binary, Database, Document, Session
from services.kit.ownership import Ownership


@dataclass(frozen=True, slots=True)
class Job:
    """Work in progress on a gallery.

    `state` is what its steps know and update; `is_done` once only the commands that wait for it are left to carry out.
    With `again`, its own command is the first of those.
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
                **_record(command.value, command.headers),
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
            **_record(command.value, command.headers),
        }

    async def apply(self, update: JobUpdate | None, unparked: Sequence[str], session: Session) -> None:
        """Add a job's progress, and the end of parking for some commands, to the transaction of `session`."""
        if update is not None and update.state is None:
            await self._jobs.delete_one({"_id": update.job_id}, session=session)
        elif update is not None:
            change = {"$set": {"state": update.state, "isDone": update.is_done}}
            await self._jobs.update_one({"_id": update.job_id}, change, session=session)
        if unparked:
            await self._parked.delete_many({"_id": {"$in": list(unparked)}}, session=session)

    async def open_jobs(self, partitions: Sequence[int], count: int) -> list[Job]:
        """The oldest jobs of these partitions."""
        found = self._jobs.find({"partition": {"$in": list(partitions)}}).sort("startedAt", ASCENDING).limit(count)
        return [_job(document) async for document in found]

    async def parked_commands(self, gallery_id: str, count: int) -> list[PlacedCommand]:
        """The first commands that wait for the gallery, in order."""
        found = self._parked.find({"galleryId": gallery_id}).sort([("epoch", ASCENDING), ("number", ASCENDING)])
        return [_placed(document, document["_id"]) async for document in found.limit(count)]


def _record(value: bytes, headers: Headers) -> Document:
    return {"value": Binary(value), "headers": [[name, Binary(text)] for name, text in headers]}


def _placed(document: Document, parked_id: str | None = None) -> PlacedCommand:
    value = bytes(document["value"])
    headers = [(name, bytes(text)) for name, text in document["headers"]]
    envelope = decode_command(value, headers)
    return PlacedCommand(document["partition"], document["galleryId"], envelope, value, headers, parked_id)


def _job(document: Document) -> Job:
    return Job(
        document["_id"],
        JobKind(document["kind"]),
        _placed(document),
        document["state"],
        document["again"],
        document["isDone"],
    )
