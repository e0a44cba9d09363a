"""Repairs galleries that lost events: asks the command service to publish their state again."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Sequence

import orjson
from aiokafka.errors import KafkaError
from prometheus_client import Counter

from triptych.contract.codec.envelope import CommandEnvelope, encode_command
from triptych.contract.commands import RepublishGallery
from triptych.contract.replies import ErrorCode
from triptych.contract.topics import Topics
from triptych.kit.failures import OwnershipLost, StartRefused, TransientFailure
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.kafka.reading.tail import tail
from triptych.kit.mongo.driver import PyMongoError
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.process.settings import KitSettings
from triptych.projector.ingest.handler import ProjectionHandler
from triptych.projector.view.fold import View
from triptych.projector.view.repository import ViewRepository

log = logging.getLogger(__name__)

REPAIRS = Counter("triptych_projection_repairs_total", "Requests to publish a gallery's state again")

INTERVAL_SECONDS = 5.0
REPLY_SECONDS = 30.0
AT_ONCE = 200
_SOURCE = "triptych/projector"
_NAMESPACE = uuid.UUID("0d6d5b8e-6f0e-4a53-9f5a-4b1f2a1c9f10")  # any


def repair_command(view: View, now: float) -> CommandEnvelope:
    """The command that asks for a gallery's state.

    Its id follows from what is missing and from the half minute, so that asking again at once is harmless, whoever
    does, and asking again later is not ignored.
    """
    expected = view.missing.expected if view.missing else view.sequence + 1
    command_id = str(uuid.uuid5(_NAMESPACE, f"{view.site_id} {view.gallery_id} {expected} {_period(now)}"))
    data = RepublishGallery(gallery_id=view.gallery_id)
    return CommandEnvelope(command_id, view.site_id, "RepublishGallery", data, None, command_id, None, _SOURCE)


def _period(now: float) -> int:
    return int(now / REPLY_SECONDS)


class Repairs:
    """Runs beside the consumer, for the galleries of the partitions that it owns."""

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
        self._asked: dict[str, int] = {}

    async def run(self) -> None:
        """Repair, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._handler.found_gap.wait()
            self._handler.found_gap.clear()
            try:
                await self._repair(await self._due())
            except (TransientFailure, OwnershipLost, StartRefused, KafkaError, PyMongoError) as error:
                log.warning("repairs have to wait: %s", error)
            except Exception:
                # Whatever it is: if this loop ended, nothing would be repaired any more.
                log.exception("repairs have to wait")

    async def _due(self) -> list[View]:
        """Galleries of ours that lack events and were not asked for in this half minute."""
        partitions = await self._publisher.partitions(self._topics.events)
        period = _period(time.time())
        due: list[View] = []
        async for view in self._repository.incomplete():
            is_ours = self._ownership.owns(partition_of(view.gallery_id.encode(), partitions))
            if is_ours and self._asked.get(view.gallery_id) != period:
                due.append(view)
                if len(due) == AT_ONCE:
                    self._handler.found_gap.set()  # there may be more
                    break
        self._asked = {gallery_id: at for gallery_id, at in self._asked.items() if at == period}
        self._asked.update((view.gallery_id, period) for view in due)
        return due

    async def _repair(self, views: Sequence[View]) -> None:
        if not views:
            return
        commands = {command.command_id: command for command in (repair_command(view, time.time()) for view in views)}
        async with tail(self._settings, [self._topics.replies]) as replies:
            await self._publisher.publish([self._record(command) for command in commands.values()])
            REPAIRS.inc(len(commands))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPLY_SECONDS):
                    while commands:
                        record = await replies.getone()
                        command = commands.pop((record.key or b"").decode(errors="replace"), None)
                        if command is not None:
                            await self._hear(command, record.value)
        if commands:
            log.warning("no reply to the request for %d galleries; is the command service running?", len(commands))

    def _record(self, command: CommandEnvelope) -> OutgoingRecord:
        message = encode_command(command)
        return OutgoingRecord(self._topics.commands, message.key, message.value, message.headers)

    async def _hear(self, command: CommandEnvelope, reply: bytes | None) -> None:
        """The state itself comes on the events topic; only that there is none is told here."""
        try:
            answer = orjson.loads(reply or b"")
            code = (answer.get("error") or {}).get("code")
        except (ValueError, AttributeError, TypeError):  # anybody may write to the topic
            log.warning("what came instead of a reply cannot be read")
            return
        gallery_id = command.data.gallery_id
        if code == ErrorCode.NOT_FOUND and gallery_id is not None:
            await self._handler.remove(gallery_id)
        elif code is not None:
            log.error("gallery %s cannot be repaired: %s", gallery_id, code)
