"""`triptych republish`: asks the command service to publish galleries again, as snapshots on the events topic."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Annotated, Any

import typer

from triptych.cli.exits import ExitStatus
from triptych.cli.installation import find_installation
from triptych.cli.output import AsJson, show_json
from triptych.cli.progress import PhaseBars
from triptych.cli.refusals import reporting_refusals
from triptych.cli.requests import CommandRequests, open_requests
from triptych.cli.selection import AllGalleries, OnlyGalleries, OnlySite, Selection, selected
from triptych.cli.settings import CliSettings
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import RepublishGallery
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.own_command import as_typed
from triptych.writemodel.queries import LiveGallery, WriteModel

IN_FLIGHT = 16
"""Requests that wait for their replies at the same time."""
PATIENCE_SECONDS = 600.0
"""A gallery of millions of items is published in steps, and the reply comes after the last."""

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: triptych republish --site default")
def republish(
    gallery: OnlyGalleries = None,
    site: OnlySite = None,
    all_galleries: AllGalleries = False,
    after: Annotated[str, typer.Option(help="Resume after this gallery id, as an interrupted run names it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Publish the state of galleries on the events topic again, for readers that lost events."""
    selection = selected(gallery, site, all_galleries=all_galleries)
    run = Republication(after)
    try:
        with reporting_refusals():
            asyncio.run(run.carry_out(find_installation(CliSettings), selection))
    except typer.Exit:
        if run.done_to:
            typer.echo(f"resume with: {as_typed(f'republish {selection.typed()} --after {run.done_to}')}", err=True)
        raise
    for gallery_id, reason in run.refused.items():
        typer.echo(f"{gallery_id}: {reason}", err=True)
    if as_json:
        show_json({"republished": run.republished, "gone": run.gone, "refused": run.refused})
    else:
        typer.echo(f"republished {run.republished:,} galleries; {run.gone:,} were deleted meanwhile")
    if run.refused:
        raise typer.Exit(ExitStatus.NEGATIVE)


class Republication:
    """One run, and how far it has come."""

    def __init__(self, after: str) -> None:
        self.done_to = after
        """All selected galleries up to this id are done."""
        self.republished = 0
        self.gone = 0
        self.refused: dict[str, str] = {}
        """Why a gallery was not republished, by id."""

    async def carry_out(self, settings: CliSettings, selection: Selection) -> None:
        """Republish the selected galleries.

        Raises:
            StartRefused: Kafka or MongoDB cannot be used, or a selected gallery does not exist.
            TransientFailure: a server stopped answering.
        """
        async with (
            open_requests(settings, PATIENCE_SECONDS) as requests,
            open_settings_database(settings) as database,
        ):
            write_model = WriteModel(database)
            scope = (selection.site_id, selection.gallery_ids, self.done_to)
            total, _ = await write_model.count_live(*scope)
            if not self.done_to and total < len(selection.gallery_ids):
                raise StartRefused(await _missing(write_model, selection.gallery_ids))
            with PhaseBars() as bars:
                async for gallery, reply in _replies(write_model.live(*scope), requests):
                    self._count(gallery.gallery_id, reply)
                    bars.report("galleries republished", self.republished + self.gone + len(self.refused), total)

    def _count(self, gallery_id: str, reply: Mapping[str, Any]) -> None:
        error = reply.get("error") or {}
        if reply.get("outcome") == "accepted":
            self.republished += 1
        elif error.get("code") == "NOT_FOUND":
            self.gone += 1
        else:
            self.refused[gallery_id] = f"{error.get('code')}: {error.get('message')}"
        self.done_to = gallery_id


async def _replies(
    galleries: AsyncIterator[LiveGallery], requests: CommandRequests
) -> AsyncIterator[tuple[LiveGallery, Mapping[str, Any]]]:
    """The galleries in order, each with the reply to its command; up to IN_FLIGHT commands wait at the same time."""
    waiting: deque[tuple[LiveGallery, asyncio.Task[Mapping[str, Any]]]] = deque()
    try:
        async for gallery in galleries:
            waiting.append((gallery, asyncio.create_task(requests.ask(_command(gallery)))))
            if len(waiting) >= IN_FLIGHT:
                yield waiting[0][0], await waiting[0][1]
                waiting.popleft()
        while waiting:
            yield waiting[0][0], await waiting[0][1]
            waiting.popleft()
    finally:
        for _, asking in waiting:
            asking.cancel()
        await asyncio.gather(*(asking for _, asking in waiting), return_exceptions=True)


def _command(gallery: LiveGallery) -> CommandEnvelope:
    command_id = str(uuid.uuid4())
    return CommandEnvelope(
        command_id=command_id,
        site_id=gallery.site_id,
        name=RepublishGallery.__name__,
        data=RepublishGallery(gallery_id=gallery.gallery_id),
        reply_to=None,
        correlation_id=command_id,
        traceparent=None,
        source="triptych/cli",
    )


async def _missing(write_model: WriteModel, gallery_ids: Collection[str]) -> str:
    found = {gallery.gallery_id async for gallery in write_model.live(None, gallery_ids)}
    return f"There is no gallery {', '.join(sorted(set(gallery_ids) - found)) or 'of this site with such an id'}"
