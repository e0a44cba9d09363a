"""`triptych listeners`: subscribes URLs to events, and administers the subscriptions. Prints JSON."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer
from pydantic import ValidationError

from triptych.cli.database import run_in_database
from triptych.cli.output import AlwaysJson, show_json
from triptych.cli.refusals import reporting_refusals
from triptych.cli.settings import CliSettings
from triptych.cli.sites import Site, check_site
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.contract.codec.events import EventType
from triptych.contract.violations import violations_of
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import Database
from triptych.kit.own_command import as_typed
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.admin.administration import Administration, open_administration
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.registration import OVERLAP_SECONDS, ListenerChange, NewListener
from triptych.webhooks.model.retries import RetryProfile
from triptych.webhooks.store.listener_documents import Listener, ListenerStatus
from triptych.webhooks.store.provision import INDEXES

app = typer.Typer(no_args_is_help=True, add_completion=False, help="External listeners of events (webhooks).")
T = TypeVar("T")
PAGE = 100

ListenerId: TypeAlias = Annotated[str, typer.Argument(help="The id of the listener.")]
EventTypes: TypeAlias = Annotated[
    list[EventType] | None, typer.Option("--event", help="An event type; may be repeated.")
]
Galleries: TypeAlias = Annotated[
    list[str] | None, typer.Option("--gallery", help="Only this gallery; may be repeated.")
]
Profile: TypeAlias = Annotated[RetryProfile | None, typer.Option(help="The retry schedule.")]
Delays: TypeAlias = Annotated[str | None, typer.Option(help="Custom delays in seconds after each failure: 1,5,30")]
Timeout: TypeAlias = Annotated[float | None, typer.Option(help="Seconds that the listener may take to answer.")]
Rate: TypeAlias = Annotated[float | None, typer.Option(help="The most deliveries a second.")]
Description: TypeAlias = Annotated[str | None, typer.Option(help="A description for people.")]


@app.command(epilog="Example: triptych listeners create https://example.com/hook --ordered")
def create(
    url: Annotated[str, typer.Argument(help="Where to deliver.")],
    event: EventTypes = None,
    gallery: Galleries = None,
    dialect: Annotated[Format, typer.Option("--format", help="The format of its deliveries.")] = Format.STANDARD_HMAC,
    retry_profile: Profile = None,
    retry_delays: Delays = None,
    timeout: Timeout = None,
    rate_limit: Rate = None,
    ordered: Annotated[bool, typer.Option(help="Send the events of each gallery strictly in sequence.")] = False,
    description: Description = None,
    public_key: Annotated[Path | None, typer.Option(help="Write the public key to this file.")] = None,
    site: Site = DEFAULT_SITE_ID,
) -> None:
    """Subscribe a URL; without --event, to all events. Prints the id, and the secret, which is shown only now."""
    fields = _fields(event or list(EventType), gallery, retry_profile, retry_delays, timeout, rate_limit, description)
    new = read_model(NewListener, {"url": url, "format": dialect, "ordered": ordered, **fields})
    created = run(lambda admin: admin.listeners.create(site, new))
    if public_key is not None:
        if created.public_key is None:
            raise typer.BadParameter(f"{dialect} has no public key", param_hint="--public-key")
        public_key.write_text(created.public_key)
    show_json({"id": created.listener.id, "siteId": site, "secret": created.secret, **created.to_wire()})


@app.command(name="list", epilog="Example: triptych listeners list")
def show_all(site: Site = DEFAULT_SITE_ID, as_json: AlwaysJson = True) -> None:  # noqa: ARG001
    """Print all listeners of a site, one on each line."""

    async def work(admin: Administration) -> None:
        page = await admin.listeners.list(site, PAGE)
        while page:
            for listener in page:
                show_json(listener.to_wire())
            page = await admin.listeners.list(site, PAGE, page[-1].id)

    run(work)


@app.command(epilog="Example: triptych listeners show 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def show(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Print a listener."""
    show_json(run(lambda admin: find_listener(admin, site, listener_id)).to_wire())


@app.command(epilog="Example: triptych listeners change 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7 --timeout 5")
def change(
    listener_id: ListenerId,
    url: Annotated[str | None, typer.Option(help="Where to deliver.")] = None,
    event: EventTypes = None,
    gallery: Galleries = None,
    retry_profile: Profile = None,
    retry_delays: Delays = None,
    timeout: Timeout = None,
    rate_limit: Rate = None,
    description: Description = None,
    site: Site = DEFAULT_SITE_ID,
) -> None:
    """Change the given settings of a listener."""
    fields = _fields(event, gallery, retry_profile, retry_delays, timeout, rate_limit, description)
    if url is not None:
        fields["url"] = url
    wanted = read_model(ListenerChange, fields)
    _print_found(site, listener_id, lambda admin: admin.listeners.change(site, listener_id, wanted))


@app.command(epilog="Example: triptych listeners pause 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def pause(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Pause a listener. Its deliveries wait until it is resumed."""
    _print_found(site, listener_id, lambda admin: admin.listeners.pause(site, listener_id))


@app.command(epilog="Example: triptych listeners resume 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def resume(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Resume a paused or disabled listener."""
    _print_found(site, listener_id, lambda admin: admin.listeners.resume(site, listener_id))


@app.command(epilog="Example: triptych listeners delete 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def delete(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Delete a listener. Open deliveries are cancelled; the delivery log is kept."""
    deleted = run(lambda admin: admin.listeners.delete(site, listener_id))
    _required(listener_id if deleted else None, site, listener_id)
    show_json({"listenerId": listener_id})


@app.command(epilog="Example: triptych listeners rotate-secret 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def rotate_secret(
    listener_id: ListenerId,
    overlap: Annotated[int, typer.Option(help="Seconds for which the old secret stays valid.")] = OVERLAP_SECONDS,
    site: Site = DEFAULT_SITE_ID,
) -> None:
    """Give a listener a new secret and print it. It is shown only now."""
    rotated = run(lambda admin: admin.listeners.rotate(site, listener_id, timedelta(seconds=overlap)))
    created = _required(rotated, site, listener_id)
    show_json({"id": listener_id, "secret": created.secret, **created.to_wire()})


@app.command(epilog="Example: triptych listeners rotate-shown-keys --site default")
def rotate_shown_keys(
    site: Annotated[str | None, typer.Option(help="Only listeners of this site.", callback=check_site)] = None,
    overlap: Annotated[int, typer.Option(help="Seconds for which the old key stays valid.")] = OVERLAP_SECONDS,
) -> None:
    """Give a new key pair to each listener whose private key an earlier version has shown. Prints the public keys."""

    async def work(admin: Administration) -> None:
        async for rotated in admin.listeners.rotate_shown(timedelta(seconds=overlap), site):
            show_json({"id": rotated.listener.id, **rotated.to_wire()})

    run(work)


@app.command(epilog="Example: triptych listeners public-key 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def public_key(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Print the newest public key of a listener as SPKI PEM."""

    async def work(admin: Administration) -> str | None:
        listener = await find_listener(admin, site, listener_id)
        return await admin.listeners.public_key(site, listener.keys[0].key_id)

    pem = run(work)
    if pem is None:
        raise typer.BadParameter("the listener has a shared secret and no public key")
    print(pem, end="")


@app.command(epilog="Example: triptych listeners events")
def events(site: Site = DEFAULT_SITE_ID, as_json: AlwaysJson = True) -> None:  # noqa: ARG001
    """Print the operational events about listeners, newest first."""
    for event in run(lambda admin: admin.operational_events.list(site, PAGE)):
        show_json(event)


def run(work: Callable[[Administration], Awaitable[T]]) -> T:
    """Run `work` with the administration of the installation; see `run_in_database`."""

    async def administer(settings: CliSettings, database: Database) -> T:
        await ensure_indexes(database, INDEXES)
        return await work(await open_administration(database, settings))

    return run_in_database(CliSettings, administer)


async def find_listener(admin: Administration, site: str, listener_id: str) -> Listener:
    """A listener of the site. Raises StartRefused if there is none with this id."""
    found = await admin.listeners.get(site, listener_id)
    if found is None:
        raise not_found(site, listener_id)
    return found


async def find_sendable(admin: Administration, site: str, listener_id: str) -> Listener:
    """A listener that is not disabled. Raises StartRefused if it is, or if there is none with this id."""
    listener = await find_listener(admin, site, listener_id)
    if listener.status is ListenerStatus.DISABLED:
        raise StartRefused(f"Listener {listener_id} is disabled. First: {as_typed(f'listeners resume {listener_id}')}")
    return listener


def not_found(site: str, listener_id: str) -> StartRefused:
    """The refusal of an id that no listener of the site has."""
    return StartRefused(f"Site {site} has no listener {listener_id}. See: {as_typed('listeners list')}")


def read_model(kind: type[Any], fields: dict[str, Any]) -> Any:
    """The typed fields as a model. If they violate rules, prints all violations and ends the command."""
    with reporting_refusals():
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            problems = "\n".join(f"  {violation.field}: {violation.description}" for violation in violations_of(error))
            raise StartRefused(f"This cannot be a listener:\n{problems}") from None


def _fields(
    event: list[EventType] | None,
    gallery: list[str] | None,
    retry_profile: RetryProfile | None,
    retry_delays: str | None,
    timeout: float | None,
    rate_limit: float | None,
    description: str | None,
) -> dict[str, Any]:
    given = {
        "eventTypes": event or None,
        "galleryIds": gallery or None,
        "retryProfile": retry_profile,
        "retryDelays": None if retry_delays is None else [delay for delay in retry_delays.split(",") if delay.strip()],
        "timeoutSeconds": timeout,
        "rateLimit": rate_limit,
        "description": description,
    }
    return {name: value for name, value in given.items() if value is not None}


def _print_found(site: str, listener_id: str, work: Callable[[Administration], Awaitable[Listener | None]]) -> None:
    show_json(_required(run(work), site, listener_id).to_wire())


def _required(found: T | None, site: str, listener_id: str) -> T:
    with reporting_refusals():
        if found is None:
            raise not_found(site, listener_id)
        return found
