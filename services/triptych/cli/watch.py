"""`triptych watch`: prints one readable line for each event as it happens."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from triptych.contract.codec.cloudevents import DEFAULT_SITE_ID, Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import Event, EventType, decode_event
from triptych.contract.snapshots import is_snapshot
from triptych.contract.topics import Topics
from triptych.kit.kafka.reading.tail import tail
from triptych.kit.process.settings import KitSettings
from triptych.kit.startup.provision import require_topics

WORDS: Mapping[EventType, str] = {
    EventType.GALLERY_CREATED: "gallery created",
    EventType.GALLERY_UPDATED: "gallery updated",
    EventType.GALLERY_DELETED: "gallery deleted",
    EventType.ITEM_CREATED: "item created",
    EventType.ITEM_UPDATED: "item updated",
    EventType.ITEM_DELETED: "item deleted",
}


def describe(event: Event, site_id: str) -> str:
    """`18:03:04.123  4937b26c  #3  item created     "Sunset" (IMAGE)`, and the site unless it is the default one."""
    time = event.event_time[11:23]
    what = f"{WORDS[event.event_type]:<16} {_subject(event)}".rstrip()
    site = "" if site_id == DEFAULT_SITE_ID else f"  site {site_id}"
    return f"{time}  {event.gallery_id[:8]}  #{event.sequence:<5} {what}{site}"


def _subject(event: Event) -> str:
    body: Mapping[str, Any] = event.body
    match event.event_type:
        case EventType.GALLERY_CREATED | EventType.GALLERY_UPDATED:
            return f"{body.get('name', '(no name)')!r}, {body.get('totalItems', 0)} items"
        case EventType.ITEM_CREATED | EventType.ITEM_UPDATED:
            return f"{body.get('title', '(no title)')!r} ({body.get('type', 'UNDEFINED')})"
        case EventType.ITEM_DELETED:
            return str(event.item_id)
        case _:
            return ""


async def watch(
    settings: KitSettings,
    say: Callable[[str], None],
    *,
    as_json: bool = False,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Call `say` with a line for each event until cancelled: for people, or the event as JSON with its `siteId`.

    `begun` is called when no later event will be missed. Snapshots repeat events and are skipped.

    Raises:
        StartRefused: Kafka does not answer, or has no topics.
    """
    topic = Topics(settings.topic_prefix).events
    await require_topics(settings, [topic])
    async with tail(settings, [topic]) as events:
        begun()
        async for record in events:
            event_type = dict(record.headers).get("ce_type") or b""  # a header value may be null
            if is_snapshot(event_type.decode(errors="replace")):
                continue
            try:
                event, site_id = decode_event(record.value), event_headers(record.headers).site_id
                say(_json({"siteId": site_id, **orjson.loads(record.value)}) if as_json else describe(event, site_id))
                continue
            except Undecodable as undecodable:
                problem = f"is not an event: {undecodable.text}"
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                problem = f"is not a valid event: {error!r}"
            line = f"{record.topic}-{record.partition}@{record.offset} {problem}"
            say(_json({"problem": line}) if as_json else line)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
