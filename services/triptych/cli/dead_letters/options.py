"""The options of `triptych dead-letters`: which dead letters are meant, and what may be done about them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from triptych.cli.sites import check_site
from triptych.cli.values import MOMENT_FORMATS, check_gallery_id, in_utc
from triptych.contract.topics import Topics
from triptych.deadletters.model.selection import Selection, State
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.positions import Position, parse_position
from triptych.kit.own_command import as_typed


class TopicName(StrEnum):
    """A topic that has dead letters, by its name without the prefix."""

    COMMANDS = "commands"
    EVENTS = "events"


class StateName(StrEnum):
    """Which dead letters, by what was done about them."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"
    ALL = "all"


Topic: TypeAlias = Annotated[TopicName | None, typer.Option(help="Only records of this topic.")]
Partition: TypeAlias = Annotated[int | None, typer.Option(min=0, help="Only records of this partition.")]
Reason: TypeAlias = Annotated[str | None, typer.Option(help="Only this reason, such as NOT_JSON or handler-failed.")]
Since: TypeAlias = Annotated[
    datetime | None, typer.Option(formats=MOMENT_FORMATS, help="Only dead letters from this moment on, in UTC.")
]
Until: TypeAlias = Annotated[
    datetime | None, typer.Option(formats=MOMENT_FORMATS, help="Only dead letters before this moment, in UTC.")
]
SiteName: TypeAlias = Annotated[
    str | None, typer.Option("--site", help="Only records that name this site.", callback=check_site)
]
Gallery: TypeAlias = Annotated[str | None, typer.Option(help="Only records about this gallery.")]
MessageId: TypeAlias = Annotated[str | None, typer.Option("--message", help="Only the command or event with this id.")]
StateOption: TypeAlias = Annotated[StateName, typer.Option(help="What was done about them.")]
LetterId: TypeAlias = Annotated[str, typer.Argument(help="The id of the dead letter, as listed.")]
LetterIds: TypeAlias = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters, as listed.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
Again: TypeAlias = Annotated[bool, typer.Option("--again", help="Also what was replayed or dropped before.")]
Old: TypeAlias = Annotated[bool, typer.Option("--old", help="Also commands so old that they may take effect twice.")]


def selection_of(
    topics: Topics,
    topic: TopicName | None,
    partition: int | None,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    site: str | None,
    gallery: str | None,
    message: str | None,
    state: StateName,
) -> Selection:
    """The dead letters that the options select."""
    return Selection(
        topic=None if topic is None else topics.dead_lettering[topic.value],
        partition=partition,
        reason=reason,
        since=in_utc(since),
        until=in_utc(until),
        site_id=site,
        gallery_id=None if gallery is None else check_gallery_id(gallery),
        message_id=message,
        state=None if state is StateName.ALL else State(state.value),
    )


def read_ids(ids: Sequence[str]) -> list[Position]:
    """The positions that typed ids name, each once. Raises StartRefused."""
    return list(dict.fromkeys(read_id(typed) for typed in ids))


def read_id(typed: str) -> Position:
    """The position that a typed id names. Raises StartRefused."""
    position = parse_position(typed)
    if position is None:
        raise StartRefused(f"{typed!r} is not the id of a dead letter. See: {as_typed('dead-letters list')}")
    return position
