"""`triptych forget-history`: removes the former states of a gallery from the history."""

from triptych.cli.database import run_in_database
from triptych.cli.settings import CliSettings
from triptych.contract.base import parse_guid
from triptych.kit.failures import StartRefused
from triptych.projector.history.archive import Archive


def forget_history(gallery_id: str) -> int:
    """Remove what is archived of a gallery; the number of rows.

    Raises:
        StartRefused: this is no id of a gallery, or MongoDB cannot be used.
    """
    try:
        wanted = parse_guid(gallery_id)
    except ValueError:
        raise StartRefused(f"{gallery_id} is not the id of a gallery: a GUID is needed") from None
    return run_in_database(CliSettings, lambda _, database: Archive(database).forget(wanted))
