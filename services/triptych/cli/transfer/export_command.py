"""The command `triptych export`."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from triptych.cli.installation import find_installation
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.selection import AllGalleries, OnlyGalleries, OnlySite, Selection, selected
from triptych.cli.settings import CliSettings
from triptych.cli.transfer.exporting import Exported, export_galleries
from triptych.cli.transfer.resuming import NotAnExport, complete_part
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.own_command import as_typed
from triptych.kit.process.settings import KitSettings
from triptych.writemodel.queries import WriteModel

app = typer.Typer(add_completion=False)
STDOUT = "-"


@app.command(name="export", epilog="Example: triptych export galleries.ndjson --site default")
def export(
    file: Annotated[str, typer.Argument(help="The file to write, or - for stdout.")],
    gallery: OnlyGalleries = None,
    site: OnlySite = None,
    all_galleries: AllGalleries = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the file of an interrupted export.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write galleries with their items to a file, as NDJSON. Each gallery is as it was at one moment."""
    selection = selected(gallery, site, all_galleries=all_galleries)
    if resume and (force or file == STDOUT):
        raise typer.BadParameter("needs a file, and excludes --force", param_hint="--resume")
    done = Exported()
    with reporting_refusals():
        try:
            with _opened(file, done, resume=resume, force=force) as out:
                asyncio.run(export_selection(find_installation(CliSettings), selection, out, done))
        except BaseException:
            if file != STDOUT and done.galleries:
                again = f"export {file} {selection.typed()} --resume"
                typer.echo(f"{done.galleries:,} galleries are complete; resume with: {as_typed(again)}", err=True)
            raise
    typer.echo(f"exported {done.galleries:,} galleries with {done.items:,} items", err=True)


async def export_selection(settings: KitSettings, selection: Selection, out: BinaryIO, done: Exported) -> None:
    """Export the selected galleries and show progress; see `export_galleries`.

    Raises:
        StartRefused: MongoDB cannot be used, or a selected gallery does not exist.
    """
    async with open_settings_database(settings) as database:
        if selection.gallery_ids:
            found = {one.gallery_id async for one in WriteModel(database).live(*selection)}
            if missing := sorted(set(selection.gallery_ids) - found):
                where = f"site {selection.site_id}" if selection.site_id else "any site"
                raise StartRefused(f"There is no gallery {', '.join(missing)} in {where}.")
        with PhaseBars() as bars:
            await export_galleries(database, selection, out, bars.report, done)


@contextlib.contextmanager
def _opened(file: str, done: Exported, *, resume: bool, force: bool) -> Iterator[BinaryIO]:
    """The file to write, with `done` set to what it already has."""
    if file == STDOUT:
        yield sys.stdout.buffer
        return
    path = Path(file)
    if not resume:
        try:
            new = path.open("wb" if force else "xb")
        except FileExistsError:
            raise StartRefused(f"{file} exists. Continue it with --resume, or replace it with --force.") from None
        with new:
            try:
                yield new
            except BaseException:
                if new.tell() == 0:
                    path.unlink()  # so that the same command can be typed again
                raise
        return
    try:
        with path.open("r+b") as out:
            part = complete_part(out)
            done.galleries, done.items, done.last_id = part.galleries, part.items, part.last_id
            out.seek(part.end)
            out.truncate()
            yield out
    except NotAnExport as error:
        raise StartRefused(f"{file} cannot be resumed: {error}.") from None
    except FileNotFoundError:
        raise StartRefused(f"{file} does not exist, so there is nothing to resume.") from None
