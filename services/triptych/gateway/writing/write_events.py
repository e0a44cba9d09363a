"""Collects the events of this gateway's own writes, for responses that the read model cannot give yet."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.events import Event, EventType, decode_event
from triptych.contract.gallery import ITEMS_MAX
from triptych.gateway.live.feed import FeedRecord
from triptych.gateway.writing.waiters import Waiters
from triptych.kit.attribution import position_of, sender_of
from triptych.kit.logs.batch_lines import report
from triptych.kit.logs.loggers import error_text, get_logger

log = get_logger(__name__)

KEPT_BYTES = 8 * 1024 * 1024
"""Bytes of events kept for one write. A response needs the first 50 items; a clone may have 500 items of 256 KiB."""


class WriteEffect:
    """The effect of one command, as far as its events have arrived.

    Attributes:
        created: whether the command created the gallery.
        gallery: the gallery after the command, without items; None if the command did not touch the gallery itself.
        items: items that the command created or changed, by id: the first `ITEMS_MAX` of them, within `KEPT_BYTES`.
    """

    def __init__(self) -> None:
        self.created = False
        self.gallery: dict[str, Any] | None = None
        self.items: dict[str, dict[str, Any]] = {}
        self._free_bytes = KEPT_BYTES

    def note(self, event: Event, size: int = 0) -> None:
        """Note an event that the command caused; `size` is in bytes."""
        match event.event_type:
            case EventType.GALLERY_CREATED | EventType.GALLERY_UPDATED:
                self.created = self.created or event.event_type is EventType.GALLERY_CREATED
                self.gallery = {name: value for name, value in event.body.items() if name != "items"}
            case EventType.ITEM_CREATED | EventType.ITEM_UPDATED:
                # Only a clone has more than ITEMS_MAX items, and its events come in display order.
                if len(self.items) < ITEMS_MAX and size <= self._free_bytes:
                    self._free_bytes -= size
                    self.items[event.body["id"]] = event.body

    @property
    def is_whole_gallery(self) -> bool:
        """Whether the command created the gallery, and the first `ITEMS_MAX` of its items are known."""
        if not self.created or self.gallery is None:
            return False
        announced: int = self.gallery["totalItems"]
        return len(self.items) >= min(ITEMS_MAX, announced)

    def page(self, limit: int) -> list[dict[str, Any]]:
        """The first `limit` items in display order (D3)."""
        return sorted(self.items.values(), key=lambda item: -float(item["sortOrder"]))[:limit]


class _Waiter(NamedTuple):
    source: str
    correlation_id: bytes
    effect: WriteEffect


class WriteEvents(Waiters[tuple[bytes, bytes], _Waiter]):
    """The writes that wait for their events, by site and command id. Two requests may carry out the same command.

    Events of earlier versions do not name the source of the command that caused them. They name its correlation id,
    which is that of one of the requests. Commands of other sources may have the same id; their events are ignored.
    """

    @contextmanager
    def listen(self, site_id: str, command_id: str, source: str, correlation_id: str) -> Iterator[WriteEffect]:
        """Collect the events of a command; enter before sending it."""
        key = site_id.encode(), command_id.encode()
        with self.waiting(key, _Waiter(source, correlation_id.encode(), WriteEffect())) as waiter:
            yield waiter.effect

    def receive(self, record: FeedRecord) -> None:
        """Process a record of the events topic."""
        if not self._waiting:
            return
        headers = dict(record.headers)
        # The value of a Kafka header may be null.
        key = headers.get("ce_siteid") or b"", headers.get("ce_causationid") or b""
        waiters = self.waiting_for(key)
        if not waiters or not (headers.get("ce_type") or b"").startswith(b"wix."):
            return
        correlation_id = headers.get("ce_correlationid")
        sources = {waiter.source for waiter in waiters if waiter.correlation_id == correlation_id}
        effects = [waiter.effect for waiter in waiters if waiter.source in sources]
        if not effects:
            return
        try:
            event = decode_event(record.value)
        except Undecodable as undecodable:
            text = error_text(undecodable)
            report(
                log,
                logging.ERROR,
                "events cannot be read",
                [record],
                lambda one: {**position_of(one), **sender_of(one), "error": text},
                topic=record.topic,
            )
            return
        for effect in effects:
            effect.note(event, len(record.value))
