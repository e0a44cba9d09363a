"""A batch is split into lanes only if its commands do not depend on the order between partitions."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord

from tests.support.commands import structured
from triptych.command.flow.independence import are_independent

OTHER = "20000000-0000-4000-8000-000000000000"


def records(partitions: list[int], name: str = "UpdateItem") -> list[ConsumerRecord[Any, Any]]:
    """A command in binary mode for each of these partitions."""
    return [record(partition, name, f"c{number}") for number, partition in enumerate(partitions)]


def record(partition: int, name: str, command_id: str) -> ConsumerRecord[Any, Any]:
    headers = (("ce_type", f"triptych.command.v1.{name}".encode()), ("ce_id", command_id.encode()))
    return ConsumerRecord("commands", partition, 0, 0, 0, None, b"{}", None, 0, 0, headers)


UPDATE: dict[str, Any] = {"itemId": OTHER, "item": {"title": "t"}}
STRUCTURED = ConsumerRecord("commands", 1, 0, 0, 0, None, structured("UpdateItem", UPDATE), None, 0, 0, ())


@pytest.mark.parametrize("name", ["CreateItems", "UpdateItem", "MoveItem", "MoveItems", "DeleteItems"])
def test_commands_on_items_are_independent(name: str) -> None:
    assert are_independent(records([0, 1, 0], name))


@pytest.mark.parametrize(
    "added",
    [
        # A gallery in another lane may have its sort order.
        record(0, "UpdateGallery", "c"),
        # Only the first of two commands with the same id may have an effect.
        record(1, "UpdateItem", "c0"),
        STRUCTURED,
    ],
    ids=["more than items", "a repeated id", "not in headers"],
)
def test_commands_that_need_one_sequence_are_not(added: ConsumerRecord[Any, Any]) -> None:
    assert not are_independent([*records([0, 1]), added])
