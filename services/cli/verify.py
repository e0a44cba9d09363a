"""`triptych verify`: whether the views are what the write model is, gallery by gallery."""

from services.cli.progress import Phases
from services.cli.settings import CliSettings
from services.kit.mongo import open_database
from services.projector.verification import compare
from services.readmodel.versions import Versions


async def verify(settings: CliSettings) -> list[str]:
    """Compare, showing progress; a line for each gallery that differs.

    Raises:
        StartRefused: MongoDB cannot be used as it is.
    """
    async with open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver) as database:
        version = await Versions(database).active()
        with Phases() as phases:
            compared = await compare(
                database, version, lambda done, total: phases.tell("galleries compared", done, total)
            )
    return [str(difference) for difference in compared.differences]
