"""`triptych rebuild`: builds and checks a new version of the views, makes it active, and repairs the join."""

from triptych.cli.progress import PhaseBars
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.startup.provision import require_topics
from triptych.kit.upgrading.presence import present
from triptych.projector.rebuild.join_restoration import JoinUnequal
from triptych.projector.rebuild.rebuild import Rebuild, ViewsUnequal


async def rebuild(settings: CliSettings) -> str:
    """Rebuild and show progress; the message to print at the end.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used, or the new views or the joined topic differ from the write model.
        TransientFailure: Kafka or MongoDB stopped answering. The next rebuild resumes where this one ended.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.events, topics.galleries])
    async with open_settings_database(settings) as database, present(database, "rebuild"):
        with PhaseBars() as phases:
            try:
                differing = await Rebuild(settings, database, phases).run()
            except ViewsUnequal as unequal:
                raise StartRefused(f"The views were not replaced. {unequal}") from None
            except JoinUnequal as unequal:
                raise StartRefused(f"The views are new, and equal to the write model. {unequal}") from None
    return (
        "The views are new, and they and the joined topic are equal to the write model. "
        f"Galleries in which the old views were wrong or behind: {differing}"
    )
