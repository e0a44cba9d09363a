"""`triptych rebuild`: a new version of the views, proved and put in the place of the old one, and the join."""

from triptych.cli.progress import PhaseBars
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import open_database
from triptych.kit.startup.provision import require_topics
from triptych.projector.rebuild.join_restoration import JoinUnequal
from triptych.projector.rebuild.rebuild import Rebuild, ViewsUnequal


async def rebuild(settings: CliSettings) -> str:
    """Rebuild, showing progress; what to say at the end.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used, or the new version or the joined topic is not what it should be.
        TransientFailure: one of them went away; the next rebuild goes on where this one ended.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.events, topics.galleries])
    async with open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver) as database:
        with PhaseBars() as phases:
            try:
                wrong = await Rebuild(settings, database, phases).run()
            except ViewsUnequal as unequal:
                raise StartRefused(f"The views were not replaced. {unequal}") from None
            except JoinUnequal as unequal:
                raise StartRefused(f"The views are new, and equal to the write model. {unequal}") from None
    return (
        "The views are new, and they and the joined topic are equal to the write model. "
        f"Galleries in which the old views were wrong or behind: {wrong}"
    )
