"""Finds how much of an interrupted export is complete, so that the export continues after it."""

from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from triptych.contract.exports import EXPORT_FORMAT


@dataclass(frozen=True, slots=True)
class CompletePart:
    """The beginning of a file that has whole galleries only."""

    end: int = 0
    """Its size in bytes."""
    last_id: str = ""
    galleries: int = 0
    items: int = 0


class NotAnExport(ValueError):
    """The file does not begin as an export does."""


def complete_part(file: BinaryIO) -> CompletePart:
    """The complete part of a file, read from its beginning. Raises NotAnExport."""
    part = CompletePart()
    end = items = expected = 0
    gallery_id = ""
    for number, raw in enumerate(file):
        line = _object(raw)
        if number == 0 and raw.endswith(b"\n") and line.get("format") != EXPORT_FORMAT:
            raise NotAnExport(f"its first line is not a gallery in the format {EXPORT_FORMAT}")
        if not raw.endswith(b"\n") or not line:
            break
        end += len(raw)
        if line.get("kind") == "gallery":
            gallery_id, expected, items = line["gallery"]["id"], line["gallery"]["totalItems"], 0
        else:
            items += 1
        if items == expected:
            part = CompletePart(end, gallery_id, part.galleries + 1, part.items + items)
    return part


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
