"""Writes galleries with their items as NDJSON, each gallery as at one moment, in bounded memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from triptych.cli.selection import Selection
from triptych.cli.waiting import announced_wait
from triptych.command.store.reading import GalleryBusy, GalleryReader
from triptych.contract.exports import gallery_line, item_line
from triptych.kit.mongo.driver import Database
from triptych.writemodel.queries import WriteModel

BUSY_PAUSE_SECONDS = 0.5
ReportProgress = Callable[[str, int, int], None]
"""Receives a phase, the number done, and the total."""


@dataclass(slots=True)
class Exported:
    """What an export has written; `last_id` is the last complete gallery."""

    galleries: int = 0
    items: int = 0
    last_id: str = ""


async def export_galleries(
    database: Database, selection: Selection, out: BinaryIO, report: ReportProgress, done: Exported
) -> None:
    """Write the selected galleries by id, after `done.last_id`, and count them in `done`.

    A gallery on which long-running work is done is waited for.

    Raises:
        OSError: the file cannot be written.
        PyMongoError: MongoDB stopped answering, or kept the moment of a very large gallery too short.
    """
    model, reader = WriteModel(database), GalleryReader(database)
    scope = (selection.site_id, selection.gallery_ids, done.last_id)
    galleries, items = await model.count_live(*scope)
    totals = done.galleries + galleries, done.items + items
    async for gallery in model.live(*scope):
        while not await _export_one(reader, gallery.gallery_id, out, lambda: _report(report, done, totals), done):
            async with announced_wait(f"long-running work on gallery {gallery.gallery_id} to end"):
                while (head := await reader.head(gallery.gallery_id)) is not None and head.job is not None:
                    await asyncio.sleep(BUSY_PAUSE_SECONDS)
    out.flush()
    _report(report, done, totals)


async def _export_one(
    reader: GalleryReader, gallery_id: str, out: BinaryIO, report: Callable[[], None], done: Exported
) -> bool:
    """Write one gallery; False if long-running work changes it. A gallery that was deleted meanwhile is left out."""
    try:
        async with reader.whole(gallery_id) as whole:
            if whole is None:
                return True
            head = whole.head
            _write(out, gallery_line(head.site_id, head.sequence, head.to_wire()))
            async for body in whole.bodies:
                _write(out, item_line(gallery_id, body))
                done.items += 1
                if done.items % 1_000 == 0:
                    report()
    except GalleryBusy:
        return False
    done.galleries += 1
    done.last_id = gallery_id
    report()
    return True


def _write(out: BinaryIO, line: dict[str, object]) -> None:
    out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _report(report: ReportProgress, done: Exported, totals: tuple[int, int]) -> None:
    report("galleries exported", done.galleries, max(totals[0], done.galleries))
    report("items exported", done.items, max(totals[1], done.items))
