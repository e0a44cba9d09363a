"""`triptych provision`: creates missing topics and indexes."""

from triptych.cli.settings import CliSettings
from triptych.command import provision as command
from triptych.contract.topics import Topics
from triptych.gateway.access import keys
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.startup.provision import ensure_indexes, ensure_topics
from triptych.projector import provision as projector
from triptych.readmodel.versions import Versions
from triptych.webhooks.store import provision as webhooks


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
