"""Shapes of the requests and responses about single changes: events with their places, causes and effects."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from triptych.contract.base import Guid, Instant, ViolatedRule, WireModel, broken

Slug = Literal["created", "updated", "deleted", "gallery_item_created", "gallery_item_updated", "gallery_item_deleted"]
_POSITION = re.compile(r"([0-9]{1,6})-([0-9]{1,18})")


def read_place(text: str) -> tuple[int, int]:
    """The partition and the offset in a text such as `3-17`. Raises PydanticCustomError."""
    found = _POSITION.fullmatch(text)
    if found is None:
        expected = "a partition and an offset, such as 3-17"
        raise broken(ViolatedRule.FORMAT, f"must be {expected}", data={"expected": expected})
    return int(found[1]), int(found[2])


def _check_place(text: str) -> str:
    read_place(text)
    return text


class RecentQuery(WireModel):
    """Which of the last events to list."""

    gallery_id: Guid | None = None
    type: Slug | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class ChangeQuery(WireModel):
    """Where the event of a change is on the events topic, if that is known."""

    place: (
        Annotated[str, Field(max_length=30, json_schema_extra={"example": "0-0"}), AfterValidator(_check_place)] | None
    ) = None


class Place(WireModel):
    """A record on a topic; `date` is the time of the record."""

    topic: str
    partition: int
    offset: int
    date: Instant


class PlacedEvent(WireModel):
    """An event of a gallery; `place` is null if it was not found on the topic, `event` is the event as there."""

    gallery_id: Guid
    sequence: int
    type: Slug
    time: Instant
    item_id: Guid | None
    command_id: str | None
    source: str | None
    correlation_id: str | None
    place: Place | None
    event: dict[str, Any]


class RecentAnswer(WireModel):
    """The last events, newest first. `examined` records were read; `isWhole` says that no more are stored."""

    events: list[PlacedEvent]
    examined: int
    is_whole: bool


class CommandForm(WireModel):
    """The command that caused a change, as far as it is known.

    `carriedOutDate` and `reply` are null if its outcome is no longer stored, `type` and `place` if its record was not
    found.
    """

    id: str
    source: str | None
    type: str | None
    place: Place | None
    carried_out_date: Instant | None
    reply: dict[str, Any] | None


class JoinedForm(WireModel):
    """The record of the joined topic that shows a change, or a later one. A tombstone has neither sequence nor value.

    `value` is null for a large record too; `bytes` is its size.
    """

    key: str
    sequence: int | None
    place: Place
    bytes: int
    value: dict[str, Any] | None


class ChangeForm(WireModel):
    """One change: its event, the command that caused it, and the joined record that shows it."""

    event: PlacedEvent
    command: CommandForm | None
    joined: JoinedForm | None


class ChangeAnswer(WireModel):
    """One change."""

    change: ChangeForm
