"""The `--site` option of all commands: it names a site that writes can belong to, or the command is refused."""

from typing import Annotated, TypeAlias

import typer

from triptych.contract.identity import SITE_ID_FORM, is_site_id


def check_site(site: str | None) -> str | None:
    """The site as it was typed. Raises BadParameter if no site can have this id."""
    if site is not None and not is_site_id(site):
        raise typer.BadParameter(f"{site!r} is not the id of a site: {SITE_ID_FORM}")
    return site


Site: TypeAlias = Annotated[str, typer.Option(help="The site it belongs to.", callback=check_site)]
