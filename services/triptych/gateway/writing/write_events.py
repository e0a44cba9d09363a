"""Hears what writes of this gateway did, from their own events, for answers that the read model cannot give yet."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.events import Event, EventType, decode_event
from triptych.contract.gallery import ITEMS_MAX
from triptych.gateway.live.feed import FeedRecord

log = logging.getLogger(__name__)

KEPT_BYTES = 8 * 1024 * 1024
"""Of the events of one write. An answer needs the first 50 items, and a clone may have 500 of 256 KiB."""


class WriteEffect:
    """What one command did, as far as its events tell.

    Attributes:
        created: whether it created the gallery.
        gallery: the gallery as it left it, without items, if it touched the gallery itself.
        items: items that it created or changed, by id; the first `ITEMS_MAX` of them, as far as they are small.
    """

    def __init__(self) -> None:
        self.created = False
        self.gallery: dict[str, Any] | None = None
        self.items: dict[str, dict[str, Any]] = {}
        self._free_bytes = KEPT_BYTES

    def note(self, event: Event, size: int = 0) -> None:
        """Take an event of this size in bytes, which the command caused."""
        match event.event_type:
            case EventType.GALLERY_CREATED | EventType.GALLERY_UPDATED:
                self.created = self.created or event.event_type is EventType.GALLERY_CREATED
                self.gallery = {name: value for name, value in event.body.items() if name != "items"}
            case EventType.ITEM_CREATED | EventType.ITEM_UPDATED:
                # Those of a clone come in display order, and nothing else has more than ITEMS_MAX.
                if len(self.items) < ITEMS_MAX and size <= self._free_bytes:
                    self._free_bytes -= size
                    self.items[event.body["id"]] = event.body

    @property
    def is_whole_gallery(self) -> bool:
        """Whether the command created the gallery, and the first of its items are all known."""
        if not self.created or self.gallery is None:
            return False
        announced: int = self.gallery["totalItems"]
        return len(self.items) >= min(ITEMS_MAX, announced)

    def page(self, limit: int) -> list[dict[str, Any]]:
        """The first of the items in display order (D3)."""
        return sorted(self.items.values(), key=lambda item: -float(item["sortOrder"]))[:limit]


class _Waiter(NamedTuple):
    source: str
    correlation_id: bytes
    echo: WriteEffect


class WriteEvents:
    """The writes that listen for their events, by site and command id; two requests may carry out the same command.

    Events of earlier versions do not tell the source of the command that caused them, but its correlation id, which is
    that of one of the requests: commands of other sources, whose ids may be equal, are not heard.
    """

    def __init__(self) -> None:
        self._listening: dict[tuple[bytes, bytes], list[_Waiter]] = {}

    def __len__(self) -> int:
        return len(self._listening)

    @contextmanager
    def listen(self, site_id: str, command_id: str, source: str, correlation_id: str) -> Iterator[WriteEffect]:
        """Listen for the events of a command; enter before sending it."""
        key = site_id.encode(), command_id.encode()
        listener = _Waiter(source, correlation_id.encode(), WriteEffect())
        listeners = self._listening.setdefault(key, [])
        listeners.append(listener)
        try:
            yield listener.echo
        finally:
            listeners.remove(listener)
            if not listeners:
                self._listening.pop(key, None)

    def hear(self, record: FeedRecord) -> None:
        """Take a record of the events topic."""
        if not self._listening:
            return
        headers = dict(record.headers)
        # Kafka knows null headers.
        key = headers.get("ce_siteid") or b"", headers.get("ce_causationid") or b""
        listeners = self._listening.get(key)
        if listeners is None or not (headers.get("ce_type") or b"").startswith(b"wix."):
            return
        correlation_id = headers.get("ce_correlationid")
        sources = {listener.source for listener in listeners if listener.correlation_id == correlation_id}
        echoes = [listener.echo for listener in listeners if listener.source in sources]
        if not echoes:
            return
        try:
            event = decode_event(record.value)
        except Undecodable as undecodable:
            log.error(
                "an event at %s-%d@%d cannot be read: %s", record.topic, record.partition, record.offset, undecodable
            )
            return
        for echo in echoes:
            echo.note(event, len(record.value))
