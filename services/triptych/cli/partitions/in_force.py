"""Gives commands that compare topics with MongoDB the number of partitions that both agree on."""

from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.reading.offsets import TopicOffsets
from triptych.kit.mongo.driver import Database
from triptych.kit.own_command import as_typed
from triptych.kit.startup.layouts import with_stored_layout


async def settings_in_force(settings: CliSettings, database: Database) -> CliSettings:
    """The settings with the number of partitions that is in use.

    Raises:
        StartRefused: the topics have another number, for instance because the backup is from before a growth.
        TransientFailure: Kafka does not answer.
    """
    settings = await with_stored_layout(settings, database)
    async with TopicOffsets(settings, Topics(settings.topic_prefix).commands) as offsets:
        count = len(await offsets.all_ends())
    if count != settings.topic_partitions:
        command = as_typed(f"partitions grow --to {count} --producers 0")
        raise StartRefused(
            f"The topics have {count} partitions, and MongoDB says that {settings.topic_partitions} are in use. If "
            f"partitions were added after the backup, run first: {command}"
        )
    return settings
