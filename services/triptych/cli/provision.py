"""`triptych provision`: creates missing topics and indexes."""

import sys
import time

from triptych.cli.settings import CliSettings
from triptych.command import provision as command
from triptych.contract.topics import Topics
from triptych.gateway.access import keys
from triptych.kit.backoff import Backoff
from triptych.kit.failures import NotYetAvailable
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.startup.provision import ensure_indexes, ensure_topics
from triptych.projector import provision as projector
from triptych.readmodel.versions import Versions
from triptych.webhooks.store import provision as webhooks

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 2.0


async def provision_within(settings: CliSettings, wait_seconds: float) -> list[str]:
    """Like `provision`, but repeat it while a server does not answer: a job that starts with the servers needs that.

    Args:
        wait_seconds: when to give up. An attempt that has begun by then is not interrupted.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used as configured, or does not answer in time.
    """
    ends = time.monotonic() + wait_seconds
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    while True:
        try:
            return await provision(settings)
        except NotYetAvailable as problem:
            if time.monotonic() >= ends:
                raise
            print(f"waiting: {problem}", file=sys.stderr, flush=True)
        await backoff.pause()


async def provision(settings: CliSettings) -> list[str]:
    """Create missing topics and indexes; the names of the created topics.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used as configured.
    """
    topics = Topics(settings.topic_prefix)
    created = await ensure_topics(
        settings, topics.catalogue(settings.topic_partitions, settings.topic_replication, settings.events_retention)
    )
    async with open_settings_database(settings) as database:
        views = projector.indexes(await Versions(database).active())
        for indexes in (command.indexes(settings), views, keys.INDEXES, webhooks.INDEXES):
            await ensure_indexes(database, indexes)
    return created
