"""Commands are split into transactions of bounded size."""

import random
from typing import Any

import pytest

from tests.support.commands import TEXT
from triptych.command.domain.scope import Size, whole_gallery_of
from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord
from triptych.command.flow.chunking import ITEM_BYTES, TRANSACTION_WEIGHT, chunks
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import COMMANDS

GALLERY = "10000000-0000-4000-8000-000000000000"
OTHER = "20000000-0000-4000-8000-000000000000"


def command(name: str, data: dict[str, Any], length: int = 100) -> ReceivedCommand:
    model = COMMANDS[name].model_validate({"galleryId": GALLERY, **data})
    envelope = CommandEnvelope("c", "site", name, model, None, "c", None)
    return ReceivedCommand(0, GALLERY, envelope, ReceivedRecord("commands", 0, 0, None, b" " * length, ()))


def chunk_sizes(commands: list[ReceivedCommand], sizes: dict[str, Size] | None = None) -> list[int]:
    return [len(chunk) for chunk in chunks(commands, sizes or {})]


def test_all_commands_come_in_order_whatever_they_are() -> None:
    chance = random.Random(2)
    made = [command("CreateItems", {"items": [TEXT] * count}) for count in (1, 2, 100, 499, 500)]
    for _ in range(100):
        commands = [chance.choice(made)._replace(parked_id=str(place)) for place in range(chance.randint(0, 30))]
        found = list(chunks(commands, {}))
        assert [one for chunk in found for one in chunk] == commands
        assert all(found)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("UpdateItem", {"itemId": OTHER, "item": {"title": "t"}}, [TRANSACTION_WEIGHT]),
        ("CreateItems", {"items": [TEXT] * 500}, [3] * (TRANSACTION_WEIGHT // 3) + [2]),
        ("CreateGallery", {"gallery": {"items": [TEXT] * 499}}, [4] * (TRANSACTION_WEIGHT // 4)),
        ("UpdateGallery", {"gallery": {"items": [TEXT] * 499}}, [4] * (TRANSACTION_WEIGHT // 4)),
        ("DeleteItems", {"itemIds": [OTHER] * 999}, [2] * (TRANSACTION_WEIGHT // 2)),
    ],
)
def test_a_command_counts_by_what_it_writes(name: str, data: dict[str, Any], expected: list[int]) -> None:
    assert chunk_sizes([command(name, data)] * TRANSACTION_WEIGHT) == expected


def test_bytes_count_too() -> None:
    large = command("UpdateItem", {"itemId": OTHER, "item": {}}, length=1_000_000)
    heavy = 1 + 1_000_000 // ITEM_BYTES
    assert chunk_sizes([large] * 100)[0] == TRANSACTION_WEIGHT // heavy


@pytest.mark.parametrize(
    ("size", "together"),
    [(Size(10, 0), 181), (Size(999, 0), 2), (Size(10, 999 * ITEM_BYTES), 1), (Size(10, 10**9), 1000), (None, 1000)],
)
def test_a_command_on_all_items_counts_by_the_gallery_unless_it_becomes_a_job(size: Size | None, together: int) -> None:
    for name, data in (("ClearGallery", {}), ("CreateGallery", {"cloneFromGalleryId": OTHER})):
        one = command(name, data)
        whole = whole_gallery_of(one)
        assert whole is not None
        assert chunk_sizes([one] * 1000, {whole: size} if size else {})[0] == together
