"""`triptych rebuild`: a new version of the views, proved and put in the place of the old one."""

from schemas.topics import Topics
from services.cli.progress import Phases
from services.cli.settings import CliSettings
from services.kit.failures import StartRefused
from services.kit.mongo import open_database
from services.kit.provision import require_topics
from services.projector.rebuild import Rebuild, Unequal


async def rebuild(settings: CliSettings) -> str:
    """Rebuild, showing progress; what to say at the end.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used, or the new version is not what it should be.
        TransientFailure: one of them went away; the next rebuild goes on where this one ended.
    """
    topics = Topics(settings.topic_prefix)
    await require_topics(settings, [topics.events, topics.galleries])
    async with open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver) as database:
        with Phases() as phases:
            try:
                wrong = await Rebuild(settings, database, phases).run()
            except Unequal as unequal:
                raise StartRefused(f"The views were not replaced. {unequal}") from None
    return f"The views are new, and equal to the write model. Galleries in which the old were wrong or behind: {wrong}"
