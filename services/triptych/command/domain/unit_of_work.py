"""Stores in memory what one transaction has loaded and decided so far; later commands of a batch see earlier ones."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from triptych.command.domain.fingerprints import fingerprint_of
from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, OrderRange, add_range
from triptych.command.domain.state import Change, GalleryHead, JobRequest, StoredItem
from triptych.contract.codec.envelope import CommandEnvelope, Headers, Message
from triptych.contract.replies import Reply
from triptych.writemodel.galleries import Status


class ReceivedRecord(NamedTuple):
    """A record of the commands topic as it was received."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers


class ReceivedCommand(NamedTuple):
    """A command with the record that carried it and the record's partition, which is the partition of its gallery.

    `parked_id` is the id of a parked command, and None for a command that comes from the topic.
    """

    partition: int
    gallery_id: str
    envelope: CommandEnvelope
    record: ReceivedRecord
    parked_id: str | None = None


class CommandKey(NamedTuple):
    """The identity of a command: producers choose ids, so two sites or two sources may choose the same id.

    Commands without a source have a source of their own (CloudEvents 1.0: source and id together are unique).
    """

    site_id: str
    source: str | None
    command_id: str

    @classmethod
    def of(cls, envelope: CommandEnvelope) -> "CommandKey":
        """The key of a command."""
        return cls(envelope.site_id, envelope.source, envelope.command_id)

    def __str__(self) -> str:
        """A text that differs for different keys, whatever characters a source or an id has; a site has no colon."""
        source = "" if self.source is None else f"{len(self.source)}:{self.source}"
        return f"{self.site_id}:{source}:{self.command_id}"


class StoredOutcome(NamedTuple):
    """The stored outcome of a command. `reply` is None while the command's job is running.

    `fingerprint` is None if an earlier version of the service, which stored none, carried the command out.
    """

    fingerprint: str | None
    reply: Reply | None

    def matches(self, fingerprint: str) -> bool:
        """Whether a command with the same key and this fingerprint may be the same request."""
        return self.fingerprint is None or self.fingerprint == fingerprint


@dataclass(slots=True)
class UnitOfWork:
    """The write model as far as it is loaded, changed in memory by one decision after another.

    Attributes:
        heads: galleries by id, deleted ones included; None for a gallery that has never existed.
        items: items by id in their present state; None for an item that is not in the gallery of its command.
        taken: item ids by sort order, by gallery; complete for the values that this batch can ask for.
        loaded_ranges: loaded ranges of each gallery's order, by gallery; no two of a gallery overlap or touch.
        neighbours_known: the number of neighbours that are loaded, for each command that moves an item.
        fully_loaded: galleries whose items are all loaded.
        over_byte_limit: galleries of few items whose bytes are too many to load.
        over_move_limit: commands that move items with more bytes than one transaction handles; these are not loaded.
        gallery_sort_orders: gallery ids by (site, sort order); complete in the same way as `taken`.
        reserved_sort_orders: sort orders reserved for new galleries, by site, lowest last.
        outcomes: outcomes of commands that were carried out or begun, in this batch or an earlier one.
        begun: commands whose beginning is recorded, in the database or in this batch; the outcome replaces that record.
        creations_found: commands whose items exist although their outcomes have expired.
        loaded_heads, loaded_items: heads and items as the database had them.
        decided: outcomes of commands that were carried out or begun in this batch.
        parked: commands that wait for a job of their gallery.
        jobs: jobs to start, each with the command that asked for it.
        changes: accepted changes in order, each with its command and its messages.
        message_bytes: the bytes of the values of these messages.
    """

    heads: dict[str, GalleryHead | None] = field(default_factory=dict)
    items: dict[str, StoredItem | None] = field(default_factory=dict)
    taken: dict[str, dict[float, str]] = field(default_factory=lambda: defaultdict(dict))
    loaded_ranges: dict[str, list[OrderRange]] = field(default_factory=lambda: defaultdict(list))
    neighbours_known: dict[CommandKey, int] = field(default_factory=dict)
    fully_loaded: set[str] = field(default_factory=set)
    over_byte_limit: set[str] = field(default_factory=set)
    over_move_limit: set[CommandKey] = field(default_factory=set)
    gallery_sort_orders: dict[tuple[str, float], str] = field(default_factory=dict)
    reserved_sort_orders: dict[str, list[float]] = field(default_factory=dict)
    outcomes: dict[CommandKey, StoredOutcome] = field(default_factory=dict)
    begun: set[CommandKey] = field(default_factory=set)
    creations_found: set[CommandKey] = field(default_factory=set)
    loaded_heads: dict[str, GalleryHead] = field(default_factory=dict)
    loaded_items: dict[str, StoredItem] = field(default_factory=dict)
    decided: dict[CommandKey, StoredOutcome] = field(default_factory=dict)
    parked: list[ReceivedCommand] = field(default_factory=list)
    jobs: list[tuple[ReceivedCommand, JobRequest]] = field(default_factory=list)
    changes: list[tuple[ReceivedCommand, Change, list[Message]]] = field(default_factory=list)
    message_bytes: int = 0

    def load_head(self, head: GalleryHead) -> None:
        """Add a gallery as the database has it."""
        self.heads[head.gallery_id] = self.loaded_heads[head.gallery_id] = head

    def load_items(self, items: Iterable[StoredItem]) -> None:
        """Add items as the database has them."""
        for item in items:
            self.items[item.item_id] = self.loaded_items[item.item_id] = item
            self.taken[item.gallery_id][item.sort_order] = item.item_id

    def load_outcomes(self, outcomes: Mapping[CommandKey, StoredOutcome]) -> None:
        """Add outcomes as the database has them."""
        self.outcomes.update(outcomes)
        self.begun.update(key for key, outcome in outcomes.items() if outcome.reply is None)

    def is_known(self, key: CommandKey) -> bool:
        """Whether a command was answered before, so that nothing more has to be loaded for it."""
        known = self.outcomes.get(key)
        return known is not None and known.reply is not None

    def load_whole(self, gallery_id: str, items: Iterable[StoredItem]) -> None:
        """Add all items of a gallery, in any order."""
        items = list(items)
        self.load_items(items)
        self.fully_loaded.add(gallery_id)
        entries = sorted((item.sort_order, item.item_id) for item in items)
        add_range(self.loaded_ranges[gallery_id], OrderRange(LOWEST, HIGHEST, entries))

    def find_head(self, gallery_id: str, site_id: str) -> GalleryHead | None:
        """The live gallery, or None if this site has none with this id (docs/architecture/README.md, I8)."""
        head = self.heads.get(gallery_id)
        return head if head is not None and head.site_id == site_id and head.status is Status.LIVE else None

    def find_item(self, gallery_id: str, item_id: str) -> StoredItem | None:
        """The item, or None if it is not in this gallery."""
        item = self.items.get(item_id)
        return item if item is not None and item.gallery_id == gallery_id else None

    def all_items(self, gallery_id: str) -> list[StoredItem]:
        """The items of a fully loaded gallery, in display order."""
        order_range = next(
            known for known in self.loaded_ranges[gallery_id] if known.low == LOWEST and known.high == HIGHEST
        )
        found = [self.items[item_id] for _, item_id in reversed(order_range.entries)]
        return [item for item in found if item is not None]

    def record_change(self, command: ReceivedCommand, change: Change, messages: list[Message]) -> None:
        """Apply an accepted change, and remember it with its messages."""
        head, gallery_id = change.head, change.head.gallery_id
        before = self.heads.get(gallery_id)
        if before is not None:
            self.gallery_sort_orders.pop((before.site_id, before.sort_order), None)
        elif head.status is Status.LIVE:
            self.load_whole(gallery_id, ())  # all items of a new gallery are known: none
        self.heads[gallery_id] = head
        if head.status is not Status.DELETED:
            self.gallery_sort_orders[head.site_id, head.sort_order] = gallery_id
        self._update_order(gallery_id, change.items)
        self.changes.append((command, change, messages))
        for message in messages:
            self.message_bytes += len(message.value)

    def _update_order(self, gallery_id: str, changed: dict[str, StoredItem | None]) -> None:
        moves = []
        for item_id, item in changed.items():
            before = self.items.get(item_id)
            self.items[item_id] = item
            old, new = before and before.sort_order, item and item.sort_order
            if old != new:  # most commands change fields alone
                moves.append((item_id, old, new))
        taken = self.taken[gallery_id]
        # Items may swap sort orders: all old ones are free before the first new one is taken.
        for item_id, old, _ in moves:
            if old is not None and taken.get(old) == item_id:
                del taken[old]
        for item_id, old, new in moves:
            if new is not None:
                taken[new] = item_id
            for order_range in self.loaded_ranges[gallery_id]:
                order_range.move(item_id, old, new)

    def record_job_outcome(self, envelope: CommandEnvelope, reply: Reply) -> None:
        """Record the outcome of a job's command; it replaces the record that was stored when the job began."""
        key = CommandKey.of(envelope)
        self.begun.add(key)
        self.record_outcome(key, fingerprint_of(envelope), reply)

    def record_outcome(self, key: CommandKey, fingerprint: str, reply: Reply | None) -> None:
        """Record the outcome for repetitions of the command; without a reply, record that its job begins."""
        self.decided[key] = self.outcomes[key] = StoredOutcome(fingerprint, reply)
