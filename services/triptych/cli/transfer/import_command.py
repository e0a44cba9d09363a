"""The command `triptych import`."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from triptych.cli.exits import ExitStatus
from triptych.cli.installation import find_installation
from triptych.cli.output import AsJson, show_json
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.requests import open_requests
from triptych.cli.settings import CliSettings
from triptych.cli.sites import Site
from triptych.cli.transfer.documents import Entry, EntryReader, UnknownEntry
from triptych.cli.transfer.importing import Importer
from triptych.cli.transfer.outcome import Outcome
from triptych.cli.transfer.reading import documents
from triptych.cli.values import check_gallery_id
from triptych.command.store.reading import GalleryReader
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.process.settings import KitSettings

PATIENCE_SECONDS = 60.0
"""How long a reply may take. Commands of a gallery with long-running work wait for the end of that work."""
STDIN = "-"

app = typer.Typer(add_completion=False)


@app.command(name="import", epilog="Example: triptych import galleries.ndjson --site default")
def run(
    files: Annotated[list[str], typer.Argument(help="Exports, or answers of Wix's API as JSON; - for stdin.")],
    site: Site = DEFAULT_SITE_ID,
    new_ids: Annotated[
        bool, typer.Option("--new-ids", help="Give galleries new ids: always the same one for the same old id.")
    ] = False,
    gallery: Annotated[str | None, typer.Option(help="The gallery of items that name none.")] = None,
    refused: Annotated[
        Path | None, typer.Option(help="Write refused lines to this file. The default is FILE.refused.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="Write the old and new ids of all items to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create the galleries and items of files. Running it again changes nothing. Exit status 1 if lines are refused."""
    with reporting_refusals():
        for file in files:
            if file != STDIN and not Path(file).is_file():
                raise StartRefused(f"There is no file {file}.")
        path = refused or Path("stdin.refused" if files[0] == STDIN else f"{files[0]}.refused")
        if any(file != STDIN and path.exists() and path.samefile(file) for file in files):
            raise StartRefused(f"{path} is read and cannot be written too; choose another file with --refused.")
        outcome = Outcome(path, None if ids is None else ids.open("wb"))
        try:
            asyncio.run(
                import_files(
                    find_installation(CliSettings),
                    files,
                    site,
                    outcome,
                    gallery_id=None if gallery is None else check_gallery_id(gallery),
                    new_ids=new_ids,
                )
            )
        except BaseException:
            if outcome.has_begun:
                typer.echo(f"{_summary(outcome)}; the same command resumes", err=True)
            raise
        finally:
            outcome.close()
    if as_json:
        show_json(outcome.to_json())
    else:
        print(_summary(outcome))
        for gallery_id, count in list(outcome.incomplete.items())[:10]:
            print(f"gallery {gallery_id} lacks {count:,} items, which the input does not have")
    if not outcome.is_whole:
        raise typer.Exit(ExitStatus.NEGATIVE)


async def import_files(
    settings: KitSettings,
    files: Sequence[str],
    site: str,
    outcome: Outcome,
    *,
    gallery_id: str | None = None,
    new_ids: bool = False,
) -> None:
    """Import files into a site and show progress; see `Importer`.

    Args:
        settings: of the installation.
        files: their paths; `-` stands for stdin.
        site: the site.
        outcome: receives what was done.
        gallery_id: the gallery of items that name none.
        new_ids: whether galleries get new ids.

    Raises:
        StartRefused: Kafka or MongoDB cannot be used, or a file is too large to be read.
        TransientFailure: a server stopped answering. The next import resumes.
    """
    async with (
        open_requests(settings, PATIENCE_SECONDS) as requests,
        open_settings_database(settings) as database,
    ):
        outcome.begin()
        with PhaseBars() as bars, contextlib.ExitStack() as opened:
            inputs = [_input(file, opened) for file in files]
            total = sum(size for _, size in inputs)

            def report() -> None:
                done = sum(file.tell() for file, size in inputs if size)
                if total:
                    bars.report("bytes read", done, total)
                seen = outcome.items.total
                bars.report("items imported", seen, seen)

            importer = Importer(requests, GalleryReader(database), site, outcome, report, new_ids=new_ids)
            await importer.run(_entries((file for file, _ in inputs), gallery_id))


def _input(file: str, opened: contextlib.ExitStack) -> tuple[BinaryIO, int]:
    """The open file and its size in bytes, 0 if that is not known."""
    if file == STDIN:
        return sys.stdin.buffer, 0
    path = Path(file)
    return opened.enter_context(path.open("rb")), path.stat().st_size


def _entries(inputs: Iterator[BinaryIO], gallery: str | None) -> Iterator[Entry]:
    for file in inputs:
        reader = EntryReader(gallery)
        for document in documents(file):
            if isinstance(document, UnknownEntry):
                yield document
            else:
                yield from reader.entries(document)


def _summary(outcome: Outcome) -> str:
    parts = [
        f"{what}: {counts.created:,} created, {counts.unchanged:,} there already, {counts.refused:,} refused"
        for what, counts in (("galleries", outcome.galleries), ("items", outcome.items))
    ]
    unknown = [f"{outcome.unknown:,} lines are neither"] if outcome.unknown else []
    where = [] if not outcome.to_json()["refusedFile"] else [f"see {outcome.refused_path}"]
    return "; ".join([*parts, *unknown, *where])
