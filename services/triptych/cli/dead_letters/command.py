"""`triptych dead-letters`: lists refused records of all topics, shows them, sends them again, or drops them."""

import getpass
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, TypeVar

import typer

from triptych.cli.database import run_in_database
from triptych.cli.dead_letters.handling import Handling
from triptych.cli.dead_letters.lines import entry_line, entry_lines
from triptych.cli.dead_letters.options import (
    Again,
    DryRun,
    Gallery,
    LetterId,
    LetterIds,
    MessageId,
    Old,
    Partition,
    Reason,
    Since,
    SiteName,
    StateName,
    StateOption,
    Topic,
    Until,
    Yes,
    read_id,
    selection_of,
)
from triptych.cli.output import AsJson, show_json
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics
from triptych.deadletters.administration import DeadLetters, OpenDeadLetters, Permission
from triptych.deadletters.forms import entry_form, full_form
from triptych.deadletters.scan import Entry
from triptych.deadletters.store.marks import INDEXES
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.positions import Position
from triptych.kit.mongo.driver import Database
from triptych.kit.own_command import as_typed
from triptych.kit.startup.provision import ensure_indexes

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Refused records: show them, send them again, or drop them.",
)
T = TypeVar("T")


@app.command(name="list", epilog="Example: triptych dead-letters list --reason UNKNOWN_TYPE --since 2026-11-27")
def show_page(
    topic: Topic = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    site: SiteName = None,
    gallery: Gallery = None,
    message: MessageId = None,
    state: StateOption = StateName.OPEN,
    limit: Annotated[int, typer.Option(min=1, help="The most that are printed.")] = 100,
    after: Annotated[str | None, typer.Option(help="Continue after this dead letter.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print dead letters by topic and partition, oldest first; by default those that nobody has handled."""

    async def work(letters: OpenDeadLetters, topics: Topics) -> None:
        selection = selection_of(topics, topic, partition, reason, since, until, site, gallery, message, state)
        printed, last = 0, None if after is None else read_id(after)
        async with aclosing(letters.scan(selection).chunks(letters.topics_of(selection), last)) as chunks:
            async for entry in (entry async for chunk in chunks for entry in chunk):
                if printed == limit:
                    print(f"there are more: add --after {last}", file=sys.stderr)
                    return
                origin = letters.origin_topic(entry)
                if as_json:
                    show_json(entry_form(entry, origin))
                else:
                    print(entry_line(entry, origin))
                printed, last = printed + 1, entry.letter.position

    _run(work)


@app.command(epilog="Example: triptych dead-letters show triptych.commands.dead-letter-0-12")
def show(
    letter_id: LetterId,
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes of the value, and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a dead letter: why the record was refused, what was done about it, its headers and its value."""

    async def work(letters: OpenDeadLetters, _topics: Topics) -> None:
        entry = await _found(letters, read_id(letter_id))
        origin = letters.origin_topic(entry)
        if raw:
            sys.stdout.buffer.write(entry.letter.value or b"")
            sys.stdout.buffer.flush()
        elif as_json:
            show_json(full_form(entry, origin))
        else:
            print("\n".join(entry_lines(entry, origin)))

    _run(work)


@app.command(name="replay", epilog="Example: triptych dead-letters replay --reason handler-failed --dry-run")
def send_again(
    ids: LetterIds = None,
    topic: Topic = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    site: SiteName = None,
    gallery: Gallery = None,
    message: MessageId = None,
    state: StateOption = StateName.OPEN,
    again: Again = False,
    old: Old = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send refused records again, with their bytes, keys and headers: those with these ids, or all that match filters.

    Exit status 1 if some were not sent.
    """
    permission = Permission(again=again, old=old, dry_run=dry_run)

    async def work(letters: OpenDeadLetters, topics: Topics) -> None:
        selection = selection_of(topics, topic, partition, reason, since, until, site, gallery, message, state)
        handling = Handling("replay", "would replay" if dry_run else "replayed", as_json=as_json)
        await handling.run(
            letters,
            ids or (),
            selection,
            lambda opened, found: opened.replay(found, _user(), permission),
            is_confirmed=yes or dry_run,
        )

    _run(work)


@app.command(epilog="Example: triptych dead-letters drop triptych.commands.dead-letter-0-12")
def drop(
    ids: LetterIds = None,
    topic: Topic = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    site: SiteName = None,
    gallery: Gallery = None,
    message: MessageId = None,
    state: StateOption = StateName.OPEN,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Record that nothing will be done about dead letters, so that `list` no longer shows them.

    They stay on their topic until they expire. Exit status 1 if some were not dropped.
    """

    async def work(letters: OpenDeadLetters, topics: Topics) -> None:
        selection = selection_of(topics, topic, partition, reason, since, until, site, gallery, message, state)
        handling = Handling("drop", "would drop" if dry_run else "dropped", as_json=as_json)
        await handling.run(
            letters,
            ids or (),
            selection,
            lambda opened, found: opened.drop(found, _user(), dry_run=dry_run),
            is_confirmed=yes or dry_run,
        )

    _run(work)


async def _found(letters: OpenDeadLetters, position: Position) -> Entry:
    entry = await letters.find(position)
    if entry is None:
        raise StartRefused(f"There is no dead letter {position}. See: {as_typed('dead-letters list')}")
    return entry


def _user() -> str:
    """Who uses the command line, as the marks of dead letters name the person."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # the user has no name on this machine, as in some containers
        name = "unknown"
    return f"cli:{name}@{socket.gethostname()}"


def _run(work: Callable[[OpenDeadLetters, Topics], Awaitable[T]]) -> T:
    """Run `work` with the dead letters of the installation; see `run_in_database`."""

    async def with_letters(settings: CliSettings, database: Database) -> T:
        await ensure_indexes(database, INDEXES)
        letters = DeadLetters(settings, database)
        try:
            async with letters.open() as opened:
                return await work(opened, Topics(settings.topic_prefix))
        finally:
            await letters.stop()

    return run_in_database(CliSettings, with_letters)
