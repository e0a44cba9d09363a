"""`triptych keys`: makes, lists and revokes API keys of the gateway."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from triptych.cli.database import run_in_database
from triptych.cli.output import AsJson, show_json
from triptych.cli.sites import check_site
from triptych.contract.base import format_instant
from triptych.gateway.access.keys import OF_ALL_SITES, KeyEntry, Scope, list_keys, new_key, revoke_key, store_key
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import Database
from triptych.kit.own_command import as_typed
from triptych.kit.process.settings import KitSettings

ID_CHARACTERS = 12
"""Characters of a key's id that are shown, enough to name the key on a command line."""

app = typer.Typer(no_args_is_help=True, add_completion=False, help="API keys of the gateway.")
T = TypeVar("T")


@app.command(epilog='Example: triptych keys create "shop window" --site default')
def create(
    name: Annotated[str, typer.Argument(help="The purpose of the key, shown in the list.")],
    site: Annotated[
        str | None,
        typer.Option(help="The only site of the key; without it, any site that a request names.", callback=check_site),
    ] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="What the key allows; by default read and manage.")] = None,
) -> None:
    """Make a key and print it. Only a hash is stored, so it cannot be shown again."""
    key = new_key()
    scopes = scope or [Scope.READ, Scope.MANAGE]
    if site is not None and (beyond := OF_ALL_SITES.intersection(scopes)):
        names = " and ".join(sorted(beyond))
        raise typer.BadParameter(f"a key of a site cannot have {names}: that is about all sites")
    _run(lambda database: store_key(database, key, site_id=site, scopes=scopes, name=name))
    print(key)


@app.command(name="list", epilog="Example: triptych keys list")
def show(as_json: AsJson = False) -> None:
    """List all keys by id. The keys themselves are not stored."""
    for entry in _run(list_keys):
        if as_json:
            show_json(key_wire(entry))
        else:
            print(describe(entry))


@app.command(epilog="Example: triptych keys revoke 3fa9c1d20b7e")
def revoke(key_id: Annotated[str, typer.Argument(help="The id of the key, as listed.")]) -> None:
    """Revoke a key. Gateways may still accept it for a few seconds."""
    _run(lambda database: _revoke(database, key_id))
    print(f"revoked {key_id}")


def describe(entry: KeyEntry) -> str:
    """`3fa9c1d20b7e  site-1      read,manage  2026-01-01  active   shop window`."""
    state = "active" if entry.revoked_at is None else f"revoked {entry.revoked_at:%Y-%m-%d}"
    columns = (
        entry.key_id[:ID_CHARACTERS],
        f"{entry.site_id or '(any site)':<12}",
        f"{','.join(entry.scopes):<22}",
        f"{entry.created_at:%Y-%m-%d}",
        f"{state:<18}",
        entry.name,
    )
    return "  ".join(columns)


def key_wire(entry: KeyEntry) -> dict[str, Any]:
    """A key as scripts read it."""
    return {
        "id": entry.key_id,
        "name": entry.name,
        "siteId": entry.site_id,
        "scopes": list(entry.scopes),
        "createdDate": format_instant(entry.created_at),
        "revokedDate": None if entry.revoked_at is None else format_instant(entry.revoked_at),
    }


def find_key(entries: Sequence[KeyEntry], start: str) -> KeyEntry:
    """The key whose id begins with `start`.

    Raises:
        StartRefused: no id begins so, or several do.
    """
    found = [entry for entry in entries if start and entry.key_id.startswith(start)]
    if len(found) != 1:
        see = as_typed("keys list")
        raise StartRefused(f"{len(found) or 'No'} keys have an id that begins with {start!r}. See: {see}")
    return found[0]


async def _revoke(database: Database, start: str) -> None:
    await revoke_key(database, find_key(await list_keys(database), start).key_id)


def _run(work: Callable[[Database], Awaitable[T]]) -> T:
    return run_in_database(KitSettings, lambda _, database: work(database))
