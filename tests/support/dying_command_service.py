"""A command service that kills itself with SIGKILL when its first events are committed and not yet published."""

import os
import signal
import sys
from collections.abc import Sequence

from triptych.command.app import compose
from triptych.command.settings import CommandSettings
from triptych.kit.kafka.publishing.publisher import OutgoingRecord, Publisher
from triptych.kit.startup.lifecycle import run_service


class DeadlyPublisher(Publisher):
    """Dies instead of publishing an event."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        if any(record.topic.endswith(".events") for record in records):
            os.kill(os.getpid(), signal.SIGKILL)
        await super().publish(records)


if __name__ == "__main__":
    sys.exit(
        run_service(
            "command",
            CommandSettings,
            lambda settings: compose(settings, DeadlyPublisher),
            lambda settings: settings.command_port,
        )
    )
