"""Reads an item of an import as a command can create it, and compares it with a stored item (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from triptych.cli.transfer.documents import ItemEntry
from triptych.contract.item import SMALL, NewItem
from triptych.contract.violations import violations_of


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An item to create in a gallery, if the gallery lacks it."""

    entry: ItemEntry
    gallery_id: str
    """The gallery in which it is created."""
    item: NewItem
    sort_order: float
    content: str
    """Its content as canonical JSON."""

    @property
    def size(self) -> int:
        """Bytes of its JSON, about."""
        return len(self.content)


def newcomer_of(entry: ItemEntry, gallery_id: str) -> Newcomer | None:
    """The item of an entry; None without a sort order, which alone distinguishes items of equal content.

    Raises pydantic.ValidationError if it breaks a rule of the contract.
    """
    item = NewItem.model_validate({**entry.item}, context={SMALL: False}, by_name=False)
    if item.sort_order is None:
        return None
    return Newcomer(entry, gallery_id, item, item.sort_order, _canonical(item))


def content_of(stored: Mapping[str, Any]) -> str | None:
    """The content of a stored item, to be compared with that of a newcomer; None if no newcomer can have it."""
    try:
        return _canonical(NewItem.model_validate({**stored}, context={SMALL: True}, by_name=False))
    except ValidationError:
        return None


def refusal_of(error: ValidationError, field: str) -> dict[str, Any]:
    """The reason for a refused line, in the form of a reply's error."""
    violations = [violation.to_wire() for violation in violations_of(error, field)]
    return {"code": "INVALID_ARGUMENT", "message": f"the {field} breaks the contract", "violations": violations}


def sort_order_missing() -> dict[str, Any]:
    """The reason for a refused item without a sort order."""
    return {
        "code": "INVALID_ARGUMENT",
        "message": "the item has no sortOrder, so it cannot be recognised when repeated",
    }


def _canonical(item: NewItem) -> str:
    return orjson.dumps(item.to_wire(), option=orjson.OPT_SORT_KEYS).decode()
