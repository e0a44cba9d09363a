"""`triptych deliveries`: shows the delivery log, and sends deliveries again. Prints JSON."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from triptych.cli.listeners import ListenerId, find_listener, find_sendable, run
from triptych.cli.output import AlwaysJson, show_json
from triptych.cli.sites import Site
from triptych.cli.values import MOMENT_FORMATS, check_gallery_id, in_utc
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import Document
from triptych.kit.own_command import as_typed
from triptych.webhooks.admin.administration import Administration
from triptych.webhooks.store.delivery_documents import DeliveryStatus, delivery_wire
from triptych.webhooks.store.resending import Range, ResendStep

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Show deliveries to listeners, and send them again.")
DeliveryId: TypeAlias = Annotated[str, typer.Argument(help="The id of the delivery.")]
Since: TypeAlias = Annotated[
    datetime | None, typer.Option(formats=MOMENT_FORMATS, help="Only events from this moment on, in UTC.")
]
Until: TypeAlias = Annotated[
    datetime | None, typer.Option(formats=MOMENT_FORMATS, help="Only events before this moment, in UTC.")
]


@app.command(name="list", epilog="Example: triptych deliveries list 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7 --status dead")
def show_page(
    listener_id: ListenerId,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only deliveries with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most that are printed.")] = 100,
    site: Site = DEFAULT_SITE_ID,
    as_json: AlwaysJson = True,  # noqa: ARG001
) -> None:
    """Print the latest deliveries of a listener, newest first, one on each line."""

    async def work(admin: Administration) -> list[Document]:
        return (await admin.deliveries.page(await find_listener(admin, site, listener_id), status, limit)).deliveries

    for delivery in run(work):
        show_delivery(delivery, with_log=False)


@app.command(epilog="Example: triptych deliveries show 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def show(delivery_id: DeliveryId, site: Site = DEFAULT_SITE_ID) -> None:
    """Print a delivery with each of its attempts."""
    show_delivery(run(lambda admin: _find(admin, site, delivery_id)), with_log=True)


@app.command(epilog="Example: triptych deliveries resend 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def resend(delivery_id: DeliveryId, site: Site = DEFAULT_SITE_ID) -> None:
    """Send a delivery again, in any state. Prints the new delivery."""

    async def work(admin: Administration) -> Document:
        delivery = await _find(admin, site, delivery_id)
        listener = await find_sendable(admin, site, delivery["listenerId"])
        return await admin.deliveries.resend(listener, delivery)

    show_delivery(run(work), with_log=False)


@app.command(epilog="Example: triptych deliveries resend-dead 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def resend_dead(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Send all dead deliveries of a listener again, each once."""

    async def work(admin: Administration) -> int:
        listener = await find_sendable(admin, site, listener_id)
        total = await admin.deliveries.count_dead(listener)
        return await _repeat_until_done(total, lambda cursor: admin.deliveries.resend_dead(listener, cursor))

    show_json({"queued": run(work)})


@app.command(epilog="Example: triptych deliveries replay 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7 --since 2026-11-25")
def replay(
    listener_id: ListenerId,
    since: Since = None,
    until: Until = None,
    gallery: Annotated[str | None, typer.Option(help="Only events of this gallery.")] = None,
    site: Site = DEFAULT_SITE_ID,
) -> None:
    """Send a listener the stored events of a time range or gallery, or all stored events."""
    which = Range(in_utc(since), in_utc(until), None if gallery is None else check_gallery_id(gallery))

    async def work(admin: Administration) -> int:
        listener = await find_sendable(admin, site, listener_id)
        total = await admin.deliveries.count_events(site, which)
        return await _repeat_until_done(total, lambda cursor: admin.deliveries.replay(listener, which, cursor))

    show_json({"queued": run(work)})


def show_delivery(delivery: Document, *, with_log: bool) -> None:
    """Print one delivery as a line, with its site."""
    show_json({"siteId": delivery["siteId"], **delivery_wire(delivery, with_log=with_log)})


async def _repeat_until_done(total: int, step: Callable[[str | None], Awaitable[ResendStep]]) -> int:
    """Repeat a step until nothing is left, with a progress bar on a terminal; the number of deliveries queued."""
    columns = (TextColumn("queueing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    queued = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        cursor: str | None = None
        while True:
            result = await step(cursor)
            queued += result.queued
            bar.update(task, advance=result.seen)
            cursor = result.cursor
            if cursor is None:
                return queued


async def _find(admin: Administration, site: str, delivery_id: str) -> Document:
    found = await admin.deliveries.get(site, delivery_id)
    if found is None:
        see = as_typed("deliveries list LISTENER_ID")
        raise StartRefused(f"Site {site} has no delivery {delivery_id}. See: {see}")
    return found
