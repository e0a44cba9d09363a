"""Endpoints of what happened: the last events with their places, and one change with its command and its effects."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from aiokafka import ConsumerRecord
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from triptych.contract.base import format_instant
from triptych.contract.domain_event import slug_of
from triptych.contract.topics import Topics
from triptych.deadletters.model.letter import LATEST_MS
from triptych.gateway.api.change_models import ChangeAnswer, ChangeQuery, RecentAnswer, RecentQuery, read_place
from triptych.gateway.api.dependencies import Gateway, Reader
from triptych.gateway.api.parameters import GalleryId
from triptych.gateway.http.errors import not_found
from triptych.gateway.http.responses import JsonAnswer, failures
from triptych.gateway.live.bounded_reads import BoundedReads
from triptych.gateway.live.causes import Cause, find_command, find_joined
from triptych.gateway.live.subscription import EventFilter
from triptych.gateway.live.topic_events import TopicEvent, find_event, recent_events
from triptych.kit.kafka.layout import Layout
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.mongo.driver import Database
from triptych.status.outcomes import read_outcome

router = APIRouter(prefix="/v1", tags=["changes"])

EPOCH_YEAR = 1971
"""Kafka has no earlier times; the year after its first, since clocks differ."""
JOINED_SHOWN = 256 * 1024
"""Bytes of the largest joined record whose value is in a response."""


class Sources:
    """What the endpoints read: topics, the layout of their partitions, and the database."""

    def __init__(self, reads: BoundedReads, topics: Topics, layout: Callable[[], Layout], database: Database) -> None:
        """`layout` gives the present layout."""
        self.reads = reads
        self.topics = topics
        self._layout = layout
        self.database = database

    @property
    def layout(self) -> Layout:
        """The present layout."""
        return self._layout()


async def _sources(request: Request) -> Sources:
    sources: Sources = request.app.state.changes
    return sources


From = Annotated[Sources, Depends(_sources)]


@router.get("/events", response_model=RecentAnswer)
async def list_recent_events(caller: Reader, sources: From, query: Annotated[RecentQuery, Query()]) -> Response:
    """The last events of the site or of a gallery, newest first, with their places on the topic.

    At most 1,000 records at the end of the topic are examined. Older events are in the history.
    """
    event_filter = EventFilter(caller.site_id, query.gallery_id)
    layout, topic = sources.layout, sources.topics.events
    places = range(layout.partitions) if query.gallery_id is None else layout.places(query.gallery_id.encode())
    async with sources.reads.turn():
        recent = await recent_events(sources.reads, topic, places, event_filter, query.type, query.limit)
    events = [_placed(one) for one in recent.events]
    return JsonAnswer({"events": events, "examined": recent.examined, "isWhole": recent.is_whole})


@router.get("/galleries/{galleryId}/changes/{sequence}", response_model=ChangeAnswer, responses=failures(404))
async def get_change(
    caller: Reader,
    gateway: Gateway,
    sources: From,
    gallery_id: GalleryId,
    sequence: Annotated[int, Path(ge=1, le=2**53 - 1)],
    query: Annotated[ChangeQuery, Query()],
) -> Response:
    """One change of a gallery: its event, its command with the answer, and the joined record that shows it.

    The event is looked for in the history, and on the topic at its `place`. What is not found within a bounded number
    of records is null. An event that is in neither is not found.
    """
    site_id = caller.site_id
    archived = await gateway.history.event(site_id, gallery_id, sequence)
    start: tuple[int, int] | datetime | None = None
    if query.place:
        start = read_place(query.place)
    elif archived is not None:
        start = datetime.fromisoformat(archived["time"])
    async with sources.reads.turn():
        found = None
        if start is not None:
            places = sources.layout.places(gallery_id.encode())
            event_filter = EventFilter(site_id, gallery_id)
            topic = sources.topics.events
            found = await find_event(sources.reads, topic, places, event_filter, sequence, start)
        if found is not None:
            event = _placed(found)
        elif archived is not None:
            event = _archived(archived, gallery_id)
        else:
            raise not_found("event", galleryId=gallery_id, sequence=str(sequence))
        command, joined = await asyncio.gather(
            _command(sources, site_id, gallery_id, event), _joined(sources, gallery_id, event)
        )
    return JsonAnswer({"change": {"event": event, "command": command, "joined": joined}})


async def _command(sources: Sources, site_id: str, gallery_id: str, event: dict[str, Any]) -> dict[str, Any] | None:
    if event["commandId"] is None:
        return None
    cause, at = Cause(site_id, event["source"], event["commandId"]), _moment(event)
    topic, partition = sources.topics.commands, partition_of(gallery_id.encode(), sources.layout.partitions)
    outcome = await read_outcome(sources.database, *cause)
    found = None if at is None else await find_command(sources.reads, topic, partition, cause, at)
    return {
        "id": cause.command_id,
        "source": cause.source,
        "type": None if found is None else found.command.name,
        "place": None if found is None else _place(found.record),
        "carriedOutDate": None if outcome is None else format_instant(outcome.at),
        "reply": None if outcome is None else outcome.reply,
    }


async def _joined(sources: Sources, gallery_id: str, event: dict[str, Any]) -> dict[str, Any] | None:
    at, partition = _moment(event), partition_of(gallery_id.encode(), sources.layout.partitions)
    if at is None:
        return None
    topic, item_id, sequence = sources.topics.galleries, event["itemId"], event["sequence"]
    found = await find_joined(sources.reads, topic, partition, gallery_id, item_id, sequence, at)
    if found is None:
        return None
    value = found.record.value
    is_shown = value is not None and len(value) <= JOINED_SHOWN
    return {
        "key": found.record.key.decode(),
        "sequence": found.sequence,
        "place": _place(found.record),
        "bytes": len(value or b""),
        "value": orjson.Fragment(value) if is_shown else None,
    }


def _placed(one: TopicEvent) -> dict[str, Any]:
    headers, event = one.headers, one.event
    return {
        "galleryId": event.gallery_id,
        "sequence": event.sequence,
        "type": slug_of(event.event_type),
        "time": event.event_time,
        "itemId": event.item_id,
        "commandId": headers.causation_id,
        "source": headers.command_source,
        "correlationId": headers.correlation_id,
        "place": _place(one.record),
        "event": orjson.Fragment(one.record.value),
    }


def _archived(row: dict[str, Any], gallery_id: str) -> dict[str, Any]:
    """An event of the history that was not found on the topic."""
    names = ("sequence", "type", "time", "itemId", "commandId", "source", "correlationId", "event")
    return {"galleryId": gallery_id, "place": None, **{name: row.get(name) for name in names}}


def _moment(event: dict[str, Any]) -> datetime | None:
    """The time of an event; None for a text that others have put there, and that is no time of this product."""
    try:
        at = datetime.fromisoformat(event["time"])
    except ValueError:
        return None
    return at if at.tzinfo is not None and at.year >= EPOCH_YEAR else None


def _place(record: ConsumerRecord[Any, Any]) -> dict[str, Any]:
    date = format_instant(datetime.fromtimestamp(min(max(0, record.timestamp), LATEST_MS) / 1000, UTC))
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset, "date": date}
