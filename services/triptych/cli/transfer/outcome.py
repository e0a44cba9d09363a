"""Records what an import did: counts, the lines that were refused, and the ids that items have now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from triptych.cli.transfer.documents import Entry, GalleryEntry, ItemEntry
from triptych.contract.exports import EXPORT_FORMAT, item_line

INCOMPLETE_MAX = 100
"""The most incomplete galleries that are named."""


@dataclass(slots=True)
class Counts:
    """How many galleries or items were created, were there already, and were refused."""

    created: int = 0
    unchanged: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.created + self.unchanged + self.refused

    def to_json(self) -> dict[str, int]:
        """The counts by name."""
        return {"created": self.created, "unchanged": self.unchanged, "refused": self.refused}


@dataclass
class Outcome:
    """What an import has done so far. Close it when the import ends."""

    refused_path: Path
    """Refused lines are written to this file, each with its reason. An old file is replaced or removed."""
    ids: BinaryIO | None = None
    """Receives the ids of galleries and items before and after, as NDJSON."""
    galleries: Counts = field(default_factory=Counts)
    items: Counts = field(default_factory=Counts)
    unknown: int = 0
    """Lines and values that are neither galleries nor items."""
    incomplete: dict[str, int] = field(default_factory=dict)
    """Galleries with fewer items than the input announces: how many are missing, by id."""
    has_begun: bool = False
    _refused: BinaryIO | None = None

    def begin(self) -> None:
        """Remove the refused lines of an earlier import. Until the servers were reached, they are kept."""
        self.refused_path.unlink(missing_ok=True)
        self.has_begun = True

    @property
    def is_whole(self) -> bool:
        """Whether everything of the input is there now."""
        return not (self.galleries.refused or self.items.refused or self.unknown or self.incomplete)

    def refuse(self, entry: Entry, error: Mapping[str, Any]) -> None:
        """Count a refused entry, and write it to the file of refused lines with its reason."""
        match entry:
            case GalleryEntry():
                self.galleries.refused += 1
                line = {"format": EXPORT_FORMAT, "kind": "gallery", "gallery": entry.gallery}
            case ItemEntry():
                self.items.refused += 1
                line = item_line(entry.gallery_id, dict(entry.item))
            case _:
                self.unknown += 1
                line = {"kind": "unknown", "content": entry.content}
        if self._refused is None:
            self._refused = self.refused_path.open("wb")
        # Not with orjson, which refuses some of the numbers for which a line may have been refused.
        text = json.dumps({**line, "refused": error}, ensure_ascii=False)
        self._refused.write(text.encode(errors="replace") + b"\n")

    def note_ids(self, entry: ItemEntry, gallery_id: str, item_id: str) -> None:
        """Write the ids of an item before and after."""
        if self.ids is not None:
            before = {"galleryId": entry.gallery_id, "itemId": entry.item.get("id")}
            line = {**before, "newGalleryId": gallery_id, "newItemId": item_id}
            self.ids.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Close the files."""
        for file in (self._refused, self.ids):
            if file is not None:
                file.close()

    def to_json(self) -> dict[str, Any]:
        """The outcome as a JSON object; its keys are stable."""
        return {
            "galleries": self.galleries.to_json(),
            "items": self.items.to_json(),
            "unknown": self.unknown,
            "incomplete": dict(list(self.incomplete.items())[:INCOMPLETE_MAX]),
            "refusedFile": str(self.refused_path) if self._refused is not None else None,
        }
