"""`triptych verify`: compares the views and the joined topic with the write model, gallery by gallery."""

from triptych.cli.progress import PhaseBars
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.startup.layouts import StoredLayout
from triptych.kit.startup.provision import require_topics
from triptych.projector.rebuild.join_check import compare_join, differences
from triptych.projector.rebuild.join_copy import JoinedCopy
from triptych.projector.rebuild.verification import compare
from triptych.readmodel.versions import Versions

SHOWN_MAX = 1_000
"""The most differing galleries of the joined topic that are listed."""


async def verify(settings: CliSettings) -> list[str]:
    """Compare and show progress; a line for each gallery that differs.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used as configured.
        TransientFailure: Kafka stopped answering.
    """
    topic = Topics(settings.topic_prefix).galleries
    await require_topics(settings, [topic])
    async with open_settings_database(settings) as database:
        version = await Versions(database).active()
        layout = await StoredLayout(database, settings.topic_partitions).read()
        async with JoinedCopy(settings, topic, layout) as copy:
            with PhaseBars() as phases:
                compared = await compare(
                    database, version, lambda done, total: phases.report("galleries compared", done, total)
                )
                await copy.read(lambda done, total: phases.report("joined records read", done, total))
                await compare_join(database, copy, lambda done, total: phases.report("joined galleries", done, total))
            joined = await differences(database, copy, SHOWN_MAX)
            more = copy.count_suspects() - len(joined)
    lines = [str(difference) for difference in (*compared.differences, *joined)]
    return [*lines, f"and {more:,} more galleries of the joined topic"] if more > 0 else lines
