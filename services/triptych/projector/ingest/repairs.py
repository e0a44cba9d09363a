"""Repairs galleries that lack events: requests their snapshots from the command service."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Sequence

import orjson
from prometheus_client import Counter, Gauge

from triptych.contract.codec.envelope import CommandEnvelope, encode_command
from triptych.contract.commands import RepublishGallery
from triptych.contract.replies import ErrorCode
from triptych.contract.topics import Topics
from triptych.kit.backoff import is_set_within
from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.tail import tail
from triptych.kit.logs.batch_lines import one_line_each, report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.process.clock import unix_seconds
from triptych.kit.process.settings import KitSettings
from triptych.kit.process.supervision import progress
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.view.fold import View
from triptych.projector.view.repository import ViewRepository

log = get_logger(__name__)

REPAIRS = Counter("triptych_projection_repairs_total", "Requests to publish a gallery's state again")
INCOMPLETE = Gauge(
    "triptych_projection_incomplete_galleries", "Galleries of all partitions that wait for missing events, up to 10,000"
)

INTERVAL_SECONDS = 5.0
REPLY_SECONDS = 30.0
GALLERIES_AT_ONCE = 200
_SOURCE = "triptych/projector"
_NAMESPACE = uuid.UUID("0d6d5b8e-6f0e-4a53-9f5a-4b1f2a1c9f10")  # an arbitrary constant


def repair_command(view: View, now: float) -> CommandEnvelope:
    """The command that requests a gallery's snapshot.

    The command id follows from the first missing sequence and the current period of `REPLY_SECONDS`. Repeated requests
    within one period, by any process, are therefore one command. A request in a later period is a new command.

    Args:
        view: the gallery.
        now: Unix time in seconds.
    """
    expected = view.missing.expected if view.missing else view.sequence + 1
    command_id = str(uuid.uuid5(_NAMESPACE, f"{view.site_id} {view.gallery_id} {expected} {_period(now)}"))
    data = RepublishGallery(gallery_id=view.gallery_id)
    return CommandEnvelope(command_id, view.site_id, "RepublishGallery", data, None, command_id, None, _SOURCE)


def _period(now: float) -> int:
    return int(now / REPLY_SECONDS)


class Repairs:
    """Runs concurrently with the consumer, for the galleries of the partitions that this process owns."""

    def __init__(
        self,
        settings: KitSettings,
        repository: ViewRepository,
        ownership: Ownership,
        publisher: Publisher,
        handler: ProjectionHandler,
    ) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._repository = repository
        self._ownership = ownership
        self._publisher = publisher
        self._handler = handler
        self._requested: dict[str, int] = {}
        """The period of the last request, by gallery id."""

    async def run(self) -> None:
        """Repair, until cancelled."""
        while True:
            progress()
            await is_set_within(self._handler.found_gap, INTERVAL_SECONDS)
            self._handler.found_gap.clear()
            try:
                await self._repair(await self._due())
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.warning("galleries cannot be repaired now, which is tried again", error=error)

    async def _due(self) -> list[View]:
        """The galleries of this process that lack events and were not requested in this period, within bounds."""
        partitions = await self._publisher.partitions(self._topics.events)
        period = _period(unix_seconds())
        due: list[View] = []
        async for view in self._repository.incomplete():
            is_ours = self._ownership.owns(partition_of(view.gallery_id.encode(), partitions))
            if is_ours and self._requested.get(view.gallery_id) != period:
                due.append(view)
                if len(due) == GALLERIES_AT_ONCE:
                    self._handler.found_gap.set()  # there may be more
                    break
        self._requested = {gallery_id: at for gallery_id, at in self._requested.items() if at == period}
        self._requested.update((view.gallery_id, period) for view in due)
        return due

    async def _repair(self, views: Sequence[View]) -> None:
        if not views:
            return
        commands = {command.command_id: command for command in (repair_command(view, unix_seconds()) for view in views)}
        async with tail(self._settings, [self._topics.replies]) as replies:
            with one_line_each():
                await self._publisher.publish([self._record(command) for command in commands.values()])
                REPAIRS.inc(len(commands))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REPLY_SECONDS):
                        while commands:
                            record = await replies.getone()
                            command = commands.pop((record.key or b"").decode(errors="replace"), None)
                            if command is not None:
                                await self._handle_reply(command, record.value)
        if commands:
            log.warning("requests for snapshots got no reply; is the command service running?", count=len(commands))

    def _record(self, command: CommandEnvelope) -> OutgoingRecord:
        message = encode_command(command)
        return OutgoingRecord(self._topics.commands, message.key, message.value, message.headers)

    async def _handle_reply(self, command: CommandEnvelope, value: bytes | None) -> None:
        """Remove a gallery that the write model does not have. The snapshot itself comes on the events topic."""
        try:
            reply = orjson.loads(value or b"")
            code = (reply.get("error") or {}).get("code")
        except (ValueError, AttributeError, TypeError):  # other programs may write to the topic
            report(log, logging.WARNING, "a record of the replies topic is not a reply", [command], _described)
            return
        gallery_id = command.data.gallery_id
        if code == ErrorCode.NOT_FOUND and gallery_id is not None:
            await self._handler.remove(gallery_id)
        elif code is not None:
            report(
                log, logging.ERROR, "galleries cannot be repaired", [command], _described, kind_of=lambda _: str(code)
            )


def _described(command: CommandEnvelope) -> dict[str, object]:
    return {"site_id": command.site_id, "gallery_id": command.data.gallery_id, "command_id": command.command_id}
