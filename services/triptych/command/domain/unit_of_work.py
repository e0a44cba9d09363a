"""What one transaction has read and decided so far, in memory; later commands of a batch see the earlier ones."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from triptych.command.domain.fingerprints import fingerprint_of
from triptych.command.domain.order.neighbours import HIGHEST, LOWEST, OrderRange, join
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


class PlacedCommand(NamedTuple):
    """A command, the record that it came as, and the partition that this was on, which is its gallery's.

    `parked_id` is there if it waited for a job.
    """

    partition: int
    gallery_id: str
    envelope: CommandEnvelope
    record: ReceivedRecord
    parked_id: str | None = None


class CommandKey(NamedTuple):
    """Identity of a command: ids are chosen by producers, so two sites or two sources may choose the same.

    A missing source is one of its own (CloudEvents 1.0: source and id together are unique).
    """

    site_id: str
    source: str | None
    command_id: str

    @classmethod
    def of(cls, envelope: CommandEnvelope) -> "CommandKey":
        """The key of a command."""
        return cls(envelope.site_id, envelope.source, envelope.command_id)

    def __str__(self) -> str:
        """Different for different keys, whatever is in a source or an id; a site has no colon."""
        source = "" if self.source is None else f"{len(self.source)}:{self.source}"
        return f"{self.site_id}:{source}:{self.command_id}"


class StoredOutcome(NamedTuple):
    """What is known of a command that was carried out, or whose long work has begun: then there is no reply yet.

    Without a fingerprint it was carried out by a version that kept none.
    """

    fingerprint: str | None
    reply: Reply | None

    def is_of(self, fingerprint: str) -> bool:
        """Whether a command with the same key and this fingerprint may be the same request."""
        return self.fingerprint is None or self.fingerprint == fingerprint


@dataclass(slots=True)
class UnitOfWork:
    """The loaded part of the write model, changed in memory by one decision after another.

    Attributes:
        heads: galleries by id, deleted ones included; None for one that never was.
        items: items by id as they are now; None for one that is not in the gallery it was looked for in.
        taken: item ids by sort order, by gallery; complete for the values that this batch can ask for.
        stretches: known parts of galleries' orders, apart from each other.
        neighbours_known: how many neighbours are known, for each command that moves an item.
        whole: galleries of which every item is loaded.
        heavy: galleries of few items, which are too large to be loaded nevertheless.
        gallery_places: gallery ids by (site, sort order); complete in the same way as `taken`.
        free_places: sort orders reserved for new galleries, by site, lowest last.
        outcomes: of commands carried out or begun before, in this batch or an earlier one.
        begun: commands that are known to have begun, in the database or in this batch: their outcome replaces that.
        spent: commands whose items exist, although nothing is known of their outcome any more.
        loaded_items, loaded_heads: what was in the database.
        decided: outcomes of those carried out or begun in this batch.
        parked: commands that wait for a job of their gallery.
        jobs: work that goes on after the transaction, each with the command that asked for it.
        changes: what accepted commands did, in order, with their messages.
    """

    heads: dict[str, GalleryHead | None] = field(default_factory=dict)
    items: dict[str, StoredItem | None] = field(default_factory=dict)
    taken: dict[str, dict[float, str]] = field(default_factory=lambda: defaultdict(dict))
    loaded_ranges: dict[str, list[OrderRange]] = field(default_factory=lambda: defaultdict(list))
    neighbours_known: dict[CommandKey, int] = field(default_factory=dict)
    fully_loaded: set[str] = field(default_factory=set)
    over_byte_limit: set[str] = field(default_factory=set)
    gallery_sort_orders: dict[tuple[str, float], str] = field(default_factory=dict)
    reserved_sort_orders: dict[str, list[float]] = field(default_factory=dict)
    outcomes: dict[CommandKey, StoredOutcome] = field(default_factory=dict)
    begun: set[CommandKey] = field(default_factory=set)
    creations_found: set[CommandKey] = field(default_factory=set)
    loaded_heads: dict[str, GalleryHead] = field(default_factory=dict)
    loaded_items: dict[str, StoredItem] = field(default_factory=dict)
    decided: dict[CommandKey, StoredOutcome] = field(default_factory=dict)
    parked: list[PlacedCommand] = field(default_factory=list)
    jobs: list[tuple[PlacedCommand, JobRequest]] = field(default_factory=list)
    changes: list[tuple[PlacedCommand, Change, list[Message]]] = field(default_factory=list)

    def load_head(self, head: GalleryHead) -> None:
        """Add a gallery as it stands in the database."""
        self.heads[head.gallery_id] = self.loaded_heads[head.gallery_id] = head

    def load_items(self, items: Iterable[StoredItem]) -> None:
        """Add items as they stand in the database."""
        for item in items:
            self.items[item.item_id] = self.loaded_items[item.item_id] = item
            self.taken[item.gallery_id][item.sort_order] = item.item_id

    def load_outcomes(self, outcomes: Mapping[CommandKey, StoredOutcome]) -> None:
        """Add outcomes as they stand in the database."""
        self.outcomes.update(outcomes)
        self.begun.update(key for key, processed in outcomes.items() if processed.reply is None)

    def is_known(self, key: CommandKey) -> bool:
        """Whether a command was carried out before, so that nothing more has to be loaded for it."""
        known = self.outcomes.get(key)
        return known is not None and known.reply is not None

    def load_whole(self, gallery_id: str, items: Iterable[StoredItem]) -> None:
        """Add all items of a gallery."""
        items = list(items)
        self.load_items(items)
        self.fully_loaded.add(gallery_id)
        entries = sorted((item.sort_order, item.item_id) for item in items)
        join(self.loaded_ranges[gallery_id], OrderRange(LOWEST, HIGHEST, entries))

    def find_head(self, gallery_id: str, site_id: str) -> GalleryHead | None:
        """The gallery, if it exists in this site; that of another is not there (docs/architecture/README.md, I8)."""
        head = self.heads.get(gallery_id)
        return head if head is not None and head.site_id == site_id and head.status is Status.LIVE else None

    def find_item(self, gallery_id: str, item_id: str) -> StoredItem | None:
        """The item, if it is in this gallery."""
        item = self.items.get(item_id)
        return item if item is not None and item.gallery_id == gallery_id else None

    def all_items(self, gallery_id: str) -> list[StoredItem]:
        """The items of a gallery that is loaded whole, in display order."""
        stretch = next(
            known for known in self.loaded_ranges[gallery_id] if known.low == LOWEST and known.high == HIGHEST
        )
        found = [self.items[item_id] for _, item_id in reversed(stretch.entries)]
        return [item for item in found if item is not None]

    def record(self, command: PlacedCommand, change: Change, messages: list[Message]) -> None:
        """Take over an accepted change."""
        head, gallery_id = change.head, change.head.gallery_id
        before = self.heads.get(gallery_id)
        if before is not None:
            self.gallery_sort_orders.pop((before.site_id, before.sort_order), None)
        elif head.status is Status.LIVE:
            self.load_whole(gallery_id, ())  # a gallery that begins here is known completely
        self.heads[gallery_id] = head
        if head.status is not Status.DELETED:
            self.gallery_sort_orders[head.site_id, head.sort_order] = gallery_id
        self._update_order(gallery_id, change.items)
        self.changes.append((command, change, messages))

    def _update_order(self, gallery_id: str, changed: dict[str, StoredItem | None]) -> None:
        taken = self.taken[gallery_id]
        old = {item_id: self.items.get(item_id) for item_id in changed}
        for item in old.values():
            if item is not None and taken.get(item.sort_order) == item.item_id:
                del taken[item.sort_order]
        for item_id, item in changed.items():
            self.items[item_id] = item
            if item is not None:
                taken[item.sort_order] = item_id
            previous = old[item_id]
            for stretch in self.loaded_ranges[gallery_id]:
                stretch.move(item_id, previous.sort_order if previous else None, item.sort_order if item else None)

    def record_job_outcome(self, envelope: CommandEnvelope, reply: Reply) -> None:
        """Remember the outcome of long work: it replaces what was stored when the work began."""
        key = CommandKey.of(envelope)
        self.begun.add(key)
        self.record_outcome(key, fingerprint_of(envelope), reply)

    def record_outcome(self, key: CommandKey, fingerprint: str, reply: Reply | None) -> None:
        """Remember the outcome, for repeats of the command; without a reply, that its long work begins."""
        self.decided[key] = self.outcomes[key] = StoredOutcome(fingerprint, reply)
