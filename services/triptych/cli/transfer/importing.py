"""Creates the galleries and items of an input that an installation lacks.

A gallery is there if its id is; an item is there if its gallery has an item with its sort order and its content. Both
are unique, so nothing is created twice, whoever else sends commands, and an import that is repeated changes nothing.
"""

import asyncio
import hashlib
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from triptych.cli.requests import CommandRequests
from triptych.cli.transfer.documents import Entry, GalleryEntry, ItemEntry, UnknownEntry
from triptych.cli.transfer.newcomers import Newcomer, content_of, newcomer_of, refusal_of, sort_order_missing
from triptych.cli.transfer.outcome import Outcome
from triptych.command.domain.state import GalleryHead
from triptych.command.store.reading import GalleryReader
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import CommandData, CreateGallery, CreateItems, command_name
from triptych.contract.gallery import NewGallery
from triptych.contract.identity import derived_gallery_id
from triptych.kit.failures import RecordTooLarge
from triptych.writemodel.galleries import Status

SOURCE = "triptych/import"
CHUNK_ITEMS, CHUNK_BYTES = 100, 512 * 1024
"""The most items that one command creates, and the most bytes of them; a single item may have up to 256 KiB."""
IN_FLIGHT = 8
"""Commands that wait for their replies at the same time, each of another gallery."""
_SPLIT = ("ALREADY_EXISTS", "INVALID_ARGUMENT")
"""Rejections of a command for which one of its items may be to blame."""


class Importer:
    """One import into one site."""

    def __init__(
        self,
        requests: CommandRequests,
        reader: GalleryReader,
        site_id: str,
        outcome: Outcome,
        report: Callable[[], None],
        *,
        new_ids: bool,
    ) -> None:
        """`report` is called when the counts have changed; `new_ids` gives galleries ids that follow from old ones."""
        self._requests = requests
        self._reader = reader
        self._site_id = site_id
        self._outcome = outcome
        self._report = report
        self._new_ids = new_ids
        self._closed: set[str] = set()
        """Refused galleries; their items are refused too."""
        self._announced: dict[str, tuple[int, int]] = {}
        """How many items an incomplete gallery has in the input, and how many it is said to have, by id."""
        self._latest: dict[str, asyncio.Task[None]] = {}
        self._window: deque[tuple[str, asyncio.Task[None]]] = deque()

    async def run(self, entries: Iterable[Entry]) -> None:
        """Import all entries. Items of one gallery are created in order, those of others at the same time.

        Raises:
            TransientFailure, PyMongoError: a server stopped answering. The next import resumes.
        """
        chunk: list[Newcomer] = []
        size = 0
        try:
            for entry in entries:
                newcomer = self._newcomer(entry) if isinstance(entry, ItemEntry) else None
                is_full = len(chunk) >= CHUNK_ITEMS or size + (newcomer.size if newcomer else 0) > CHUNK_BYTES
                if chunk and (newcomer is None or is_full or chunk[0].gallery_id != newcomer.gallery_id):
                    await self._start_items(chunk)
                    chunk, size = [], 0
                if newcomer is not None:
                    chunk.append(newcomer)
                    size += newcomer.size
                elif isinstance(entry, GalleryEntry):
                    await self._start_gallery(entry)
                elif isinstance(entry, UnknownEntry):
                    self._outcome.refuse(entry, {"code": "UNKNOWN", "message": entry.reason})
            if chunk:
                await self._start_items(chunk)
            while self._window:
                await self._finish_first()
            await self._find_incomplete()
        finally:
            for _, task in self._window:
                task.cancel()
            await asyncio.gather(*(task for _, task in self._window), return_exceptions=True)

    def _newcomer(self, entry: ItemEntry) -> Newcomer | None:
        """The item as a command can create it; None if it is refused."""
        gallery_id = self._target(entry.gallery_id)
        if gallery_id in self._announced:
            seen, total = self._announced.pop(gallery_id)
            if seen + 1 < total:
                self._announced[gallery_id] = seen + 1, total
        try:
            newcomer = newcomer_of(entry, gallery_id)
        except ValidationError as error:
            self._outcome.refuse(entry, refusal_of(error, "item"))
            return None
        if newcomer is None:
            self._outcome.refuse(entry, sort_order_missing())
        return newcomer

    def _target(self, gallery_id: str) -> str:
        return derived_gallery_id(self._site_id, f"import/{gallery_id}", SOURCE) if self._new_ids else gallery_id

    async def _start_gallery(self, entry: GalleryEntry) -> None:
        gallery_id = self._target(entry.gallery_id)
        if entry.total_items:
            self._announced[gallery_id] = 0, entry.total_items
        await self._start(gallery_id, lambda: self._create_gallery(entry, gallery_id))

    async def _start_items(self, chunk: list[Newcomer]) -> None:
        await self._start(chunk[0].gallery_id, lambda: self._create_items(chunk[0].gallery_id, chunk))

    async def _start(self, gallery_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` after the earlier work on the same gallery. Waits while too much is in flight."""
        earlier = self._latest.get(gallery_id)

        async def do() -> None:
            if earlier is not None:
                await asyncio.wait({earlier})
            await work()
            self._report()

        task = self._latest[gallery_id] = asyncio.create_task(do())
        self._window.append((gallery_id, task))
        if len(self._window) >= IN_FLIGHT:
            await self._finish_first()

    async def _finish_first(self) -> None:
        gallery_id, task = self._window[0]
        await task
        self._window.popleft()
        if self._latest.get(gallery_id) is task:
            del self._latest[gallery_id]

    async def _create_gallery(self, entry: GalleryEntry, gallery_id: str) -> None:
        fields = {name: entry.gallery.get(name) for name in ("name", "sortOrder")}
        try:
            gallery = NewGallery.model_validate(fields, by_name=False)
        except ValidationError as error:
            self._refuse_gallery(entry, gallery_id, refusal_of(error, "gallery"))
            return
        head = await self._reader.head(gallery_id)
        if head is None:
            # The gallery's id makes this command idempotent. With an id of its own, a rejection is decided anew.
            reply = await self._ask(str(uuid.uuid4()), CreateGallery(gallery_id=gallery_id, gallery=gallery))
            if reply["outcome"] == "accepted":
                self._outcome.galleries.created += 1
                return
            head = await self._reader.head(gallery_id)
            if head is None:
                self._refuse_gallery(entry, gallery_id, reply["error"])
                return
        if not self._is_usable(head):
            reason = "the id belongs to a gallery of another site, or was used by one; import with --new-ids"
            self._refuse_gallery(entry, gallery_id, {"code": "ALREADY_EXISTS", "message": reason})
        elif head.name != gallery.name or gallery.sort_order not in (None, head.sort_order):
            reason = "the gallery exists with another name or sort order, and stays as it is; its items are imported"
            self._outcome.refuse(entry, {"code": "ALREADY_EXISTS", "message": reason})
        else:
            self._outcome.galleries.unchanged += 1

    def _is_usable(self, head: GalleryHead) -> bool:
        return head.site_id == self._site_id and head.status is Status.LIVE

    def _refuse_gallery(self, entry: GalleryEntry, gallery_id: str, error: Mapping[str, Any]) -> None:
        self._closed.add(gallery_id)
        self._announced.pop(gallery_id, None)
        self._outcome.refuse(entry, error)

    async def _create_items(self, gallery_id: str, newcomers: Sequence[Newcomer]) -> None:
        head = None if gallery_id in self._closed else await self._reader.head(gallery_id)
        if head is None or not self._is_usable(head):
            reason = "its gallery was refused, or is not in this site"
            for newcomer in newcomers:
                self._outcome.refuse(newcomer.entry, {"code": "NOT_FOUND", "message": reason})
            return
        missing = await self._missing(gallery_id, newcomers)
        if not missing:
            return
        items = tuple(newcomer.item for newcomer in missing)
        # The sequence is part of the id, so that items that were deleted after an earlier import are created again.
        command_id = _digest(gallery_id, str(head.sequence), *(newcomer.content for newcomer in missing))
        try:
            reply = await self._ask(command_id, CreateItems(gallery_id=gallery_id, items=items))
        except RecordTooLarge as error:
            reply = {"outcome": "rejected", "error": {"code": "INVALID_ARGUMENT", "message": str(error)}}
        if reply["outcome"] == "accepted":
            self._outcome.items.created += len(missing)
            # A reply that was too large for its topic has no ids.
            for newcomer, item_id in zip(missing, reply.get("itemIds", ()), strict=False):
                self._outcome.note_ids(newcomer.entry, gallery_id, item_id)
        elif len(missing) > 1 and reply["error"]["code"] in _SPLIT:
            for newcomer in missing:
                await self._create_items(gallery_id, [newcomer])
        else:
            for newcomer in await self._missing(gallery_id, missing):
                self._outcome.refuse(newcomer.entry, reply["error"])

    async def _missing(self, gallery_id: str, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
        """The items that the gallery lacks. Items that it has, and items whose sort order is taken, are counted."""
        stored = await self._reader.items_at(gallery_id, [newcomer.sort_order for newcomer in newcomers])
        missing = []
        for newcomer in newcomers:
            found = stored.get(newcomer.sort_order)
            if found is None:
                missing.append(newcomer)
            elif content_of(found) == newcomer.content:
                self._outcome.items.unchanged += 1
                self._outcome.note_ids(newcomer.entry, gallery_id, found["id"])
            else:
                reason = f"item {found['id']} has this sort order, and other content"
                self._outcome.refuse(newcomer.entry, {"code": "ALREADY_EXISTS", "message": reason})
        return missing

    async def _ask(self, command_id: str, data: CommandData) -> Mapping[str, Any]:
        envelope = CommandEnvelope(
            command_id=command_id,
            site_id=self._site_id,
            name=command_name(data),
            data=data,
            reply_to=None,
            correlation_id=command_id,
            traceparent=None,
            source=SOURCE,
        )
        return await self._requests.ask(envelope)

    async def _find_incomplete(self) -> None:
        for gallery_id, (_, total) in self._announced.items():
            head = await self._reader.head(gallery_id)
            present = 0 if head is None else head.total_items
            if present < total:
                self._outcome.incomplete[gallery_id] = total - present


def _digest(*parts: str) -> str:
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return f"import-{hashlib.sha256(joined.encode()).hexdigest()}"
