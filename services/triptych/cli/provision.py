"""`triptych provision`: creates missing topics and indexes, and stores the schema version."""

from triptych.cli.settings import CliSettings
from triptych.cli.waiting import repeated_within
from triptych.command import provision as command
from triptych.contract.topics import Topics
from triptych.gateway.access import keys
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.mongo.schema_version import THIS_BUILD
from triptych.kit.startup.provision import ensure_indexes, ensure_topics
from triptych.kit.upgrading.adoption import adopt, exclude_older
from triptych.projector import provision as projector
from triptych.readmodel.versions import Versions
from triptych.webhooks.store import provision as webhooks


async def provision_within(settings: CliSettings, wait_seconds: float) -> list[str]:
    """Like `provision`, but repeat it while a server does not answer: a job that starts with the servers needs that.

    Args:
        wait_seconds: when to give up. An attempt that has begun by then is not interrupted.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used as configured, or does not answer in time.
    """
    return await repeated_within(wait_seconds, lambda: provision(settings))


async def provision(settings: CliSettings) -> list[str]:
    """Create missing topics and indexes, and store the schema version; the names of the created topics.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used as configured, or the data needs a newer build.
        NotYetAvailable: a server does not answer, or processes run that cannot read what this build writes.
    """
    topics = Topics(settings.topic_prefix)
    async with open_settings_database(settings) as database:
        # Before there are topics: services wait for those, so a new database is still empty.
        await adopt(database)
        await exclude_older(database, THIS_BUILD.written_for)
        specs = topics.catalogue(
            settings.topic_partitions, settings.topic_replication, settings.events_retention, settings.reply_topics
        )
        created = await ensure_topics(settings, specs)
        views = projector.indexes(await Versions(database).active(), settings.history_retention)
        for indexes in (command.indexes(settings), views, keys.INDEXES, webhooks.INDEXES):
            await ensure_indexes(database, indexes)
    return created
