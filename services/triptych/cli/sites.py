"""The `--site` option of all commands, which must be a valid site id."""

from typing import Annotated, TypeAlias

import typer

from triptych.contract.identity import SITE_ID_FORM, is_site_id


def check_site(site: str | None) -> str | None:
    """The site id as typed. Raises BadParameter if it is not a valid site id."""
    if site is not None and not is_site_id(site):
        raise typer.BadParameter(f"{site!r} is not the id of a site: {SITE_ID_FORM}")
    return site


Site: TypeAlias = Annotated[str, typer.Option(help="The site.", callback=check_site)]
