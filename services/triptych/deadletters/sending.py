"""Sends replayed records, as large as their topics take them.

A record that once fitted into its topic may not fit when it is sent again: the header about the replay is added, and
its sender may have compressed it better. So a record that is too large is tried with each compression, and then without
that header.
"""

from collections.abc import Sequence
from itertools import groupby

from triptych.deadletters.model.replaying import ReplayPlan
from triptych.kit.failures import RecordTooLarge, TransientFailure
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.process.settings import KitSettings
from triptych.kit.run_all import run_all

CODECS = ("zstd", "gzip", "none")


class ReplaySender:
    """Idempotent producers, one for each compression; each connects when it is first needed."""

    def __init__(self, settings: KitSettings) -> None:
        self._settings = settings
        self._codecs = list(dict.fromkeys((settings.compression, *CODECS)))
        self._publishers: dict[str, Publisher] = {}

    async def stop(self) -> None:
        """Close the producers."""
        publishers, self._publishers = list(self._publishers.values()), {}
        await run_all([publisher.stop() for publisher in publishers])

    async def send(self, plans: Sequence[ReplayPlan]) -> frozenset[int]:
        """Publish records, those of each partition in the order given. Returns when Kafka has acknowledged all.

        Returns:
            The indexes of the records that are too large for their topics, and were not sent.

        Raises:
            TransientFailure: any of the records may be stored or not.
        """
        chosen: dict[int, tuple[str, OutgoingRecord]] = {}
        for is_marked in (True, False):
            for codec in self._codecs:
                open_ = [index for index in range(len(plans)) if index not in chosen]
                if not open_:
                    break
                records = [_record(plans[index], is_marked=is_marked) for index in open_]
                too_large = await self._publisher(codec).too_large(records)
                fitting = [number for number in range(len(open_)) if number not in too_large]
                chosen.update({open_[number]: (codec, records[number]) for number in fitting})
        in_order = [chosen[index] for index in sorted(chosen)]
        for codec, run in groupby(in_order, key=lambda one: one[0]):
            await self._publish(codec, [record for _, record in run])
        return frozenset(range(len(plans))) - chosen.keys()

    async def _publish(self, codec: str, records: Sequence[OutgoingRecord]) -> None:
        try:
            await self._publisher(codec).publish(records)
        except RecordTooLarge as error:  # they did fit a moment ago
            raise TransientFailure(f"the limit of a topic was lowered meanwhile: {error}") from error

    def _publisher(self, codec: str) -> Publisher:
        if codec not in self._publishers:
            settings = self._settings.model_copy(update={"compression": codec})
            self._publishers[codec] = Publisher(lambda: make_producer(settings))
        return self._publishers[codec]


def _record(plan: ReplayPlan, *, is_marked: bool) -> OutgoingRecord:
    headers = plan.marked_headers if is_marked else plan.headers
    return OutgoingRecord(plan.topic, plan.key, plan.value, headers, plan.partition)
