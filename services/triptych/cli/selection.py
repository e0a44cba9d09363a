"""The options that select galleries: some by id, those of a site, or all."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, TypeAlias

import typer

from triptych.cli.sites import check_site
from triptych.cli.values import check_gallery_id

OnlyGalleries: TypeAlias = Annotated[
    list[str] | None, typer.Option("--gallery", help="Only this gallery; may be repeated.")
]
OnlySite: TypeAlias = Annotated[
    str | None, typer.Option("--site", help="Only galleries of this site.", callback=check_site)
]
AllGalleries: TypeAlias = Annotated[bool, typer.Option("--all", help="The galleries of all sites.")]


class Selection(NamedTuple):
    """Which galleries a command is about; no ids stand for all galleries, and no site for all sites."""

    site_id: str | None
    gallery_ids: tuple[str, ...]

    def typed(self) -> str:
        """The options, as they are typed."""
        site = [f"--site {self.site_id}"] if self.site_id else []
        return " ".join([*site, *(f"--gallery {one}" for one in self.gallery_ids)]) or "--all"


def selected(galleries: Sequence[str] | None, site: str | None, *, all_galleries: bool) -> Selection:
    """The selection of these options. Raises BadParameter unless they select something, or if an id is no GUID."""
    if not galleries and site is None and not all_galleries:
        raise typer.BadParameter("name galleries with --gallery, a site with --site, or --all", param_hint="--all")
    if all_galleries and (galleries or site is not None):
        raise typer.BadParameter("cannot be combined with --gallery or --site", param_hint="--all")
    return Selection(site, tuple(sorted({check_gallery_id(typed) for typed in galleries or ()})))
