"""Requests a snapshot of each gallery whose history lacks events: a gallery is shown only with all of its items.

A gallery that is older than its history, or has lost events, can be shown as it was from its next snapshot on.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import Counter, Gauge

from triptych.contract.codec.envelope import CommandEnvelope, encode_command
from triptych.contract.commands import RepublishGallery
from triptych.contract.topics import Topics
from triptych.history.documents import Reach
from triptych.kit.failures import Fault, fault_of
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.logs.batch_lines import one_line_each, report
from triptych.kit.logs.loggers import get_logger
from triptych.kit.mongo.driver import Database
from triptych.kit.process.clock import unix_seconds
from triptych.kit.process.supervision import progress
from triptych.projector.history.archive import Archive
from triptych.writemodel.queries import WriteModel

log = get_logger(__name__)

REQUESTS = Counter("triptych_history_snapshots_requested_total", "Requests for snapshots that the history lacks")
WAITING = Gauge(
    "triptych_history_incomplete_galleries",
    "Galleries of all partitions that cannot be shown as they were until a snapshot comes, up to 10,000",
)

INTERVAL_SECONDS = 5.0
PERIOD_SECONDS = 60.0
"""How long a request for a snapshot may take before it is repeated."""
GALLERIES_AT_ONCE = 50
"""Snapshots requested in one interval, so that a history that begins does not crowd out other work."""
SEEN_AT_ONCE = 1_000
COUNTED_MAX = 10_000
_SOURCE = "triptych/history"
_NAMESPACE = uuid.UUID("5b0f4d34-7a1e-4a68-9c0b-0c8c8f0c6b1d")  # an arbitrary constant


def snapshot_command(reach: Reach, now: float) -> CommandEnvelope:
    """The command that requests a gallery's snapshot; `now` is Unix time in seconds.

    Repeated requests within one period, by any process, are one command.
    """
    name = f"{reach.site_id} {reach.gallery_id} {reach.sequence} {int(now / PERIOD_SECONDS)}"
    command_id = str(uuid.uuid5(_NAMESPACE, name))
    data = RepublishGallery(gallery_id=reach.gallery_id)
    return CommandEnvelope(command_id, reach.site_id, "RepublishGallery", data, None, command_id, None, _SOURCE)


class Baselines:
    """Runs concurrently with the consumer, for the galleries of the partitions that this process owns."""

    def __init__(
        self,
        database: Database,
        archive: Archive,
        publisher: Publisher,
        topics: Topics,
        reached: Callable[[], Mapping[int, int]],
    ) -> None:
        """`reached` returns the offsets of the partitions that are owned now."""
        self._write_model = WriteModel(database)
        self._archive = archive
        self._publisher = publisher
        self._topics = topics
        self._reached = reached
        self._requested: dict[str, float] = {}
        """When the snapshot of a gallery was requested, by gallery id."""

    async def run(self) -> None:
        """Request snapshots, until cancelled."""
        while True:
            progress()
            try:
                await self.request()
            except Exception as error:
                if fault_of(error) is Fault.OURS:
                    raise
                log.warning("the history cannot ask for snapshots now, which is tried again", error=error)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def request(self) -> int:
        """Request the snapshots that are due, within bounds; their number.

        Raises:
            TransientFailure, the driver's errors: Kafka or MongoDB is away.
        """
        now = unix_seconds()
        self._requested = {id_: at for id_, at in self._requested.items() if now - at < PERIOD_SECONDS}
        WAITING.set(await self._archive.count_waiting(COUNTED_MAX))
        due = await self._due()
        # A gallery that was deleted after its last event here has no snapshot, if the event of its deletion is lost.
        known = await self._write_model.existing([reach.gallery_id for reach in due])
        for reach in due:
            if reach.gallery_id not in known:
                await self._archive.give_up(reach)
        wanted = [reach for reach in due if reach.gallery_id in known]
        if not wanted:
            return 0
        with one_line_each():
            report(log, logging.INFO, "the history asks for snapshots", wanted, _described)
            await self._publisher.publish([self._record(snapshot_command(reach, now)) for reach in wanted])
        self._requested.update((reach.gallery_id, now) for reach in wanted)
        REQUESTS.inc(len(wanted))
        return len(wanted)

    async def _due(self) -> Sequence[Reach]:
        owned = self._reached()
        partitions = await self._publisher.partitions(self._topics.events)
        due: list[Reach] = []
        async for reach in self._archive.waiting(SEEN_AT_ONCE):
            is_ours = partition_of(reach.gallery_id.encode(), partitions) in owned
            if is_ours and reach.gallery_id not in self._requested:
                due.append(reach)
                if len(due) == GALLERIES_AT_ONCE:
                    break
        return due

    def _record(self, command: CommandEnvelope) -> OutgoingRecord:
        message = encode_command(command)
        return OutgoingRecord(self._topics.commands, message.key, message.value, message.headers)


def _described(reach: Reach) -> dict[str, object]:
    return {"site_id": reach.site_id, "gallery_id": reach.gallery_id, "sequence": reach.sequence}
