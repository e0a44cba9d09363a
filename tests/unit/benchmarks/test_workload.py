"""The product accepts the commands, and wrong events are detected."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from benchmarks.workload import GALLERIES, Workload, WrongEvents
from triptych.contract.codec.envelope import decode_command
from triptych.contract.commands import CreateItems

WORKLOAD = Workload(GALLERIES + 3)


@dataclass
class Event:
    """The fields of a record that the check reads."""

    key: bytes
    value: bytes


def events() -> list[Any]:
    """The expected events of the workload, in order."""
    sequences: dict[str, int] = {}
    made = []
    for record in WORKLOAD.records("commands"):
        data = orjson.loads(record.value or b"")
        gallery_id = data["galleryId"]
        sequences[gallery_id] = sequences.get(gallery_id, 1) + 1
        event = {
            "entityId": gallery_id,
            "entityEventSequence": str(sequences[gallery_id]),
            "actionEvent": {"body": {"item": data["items"][0]}},
        }
        made.append(Event(gallery_id.encode(), orjson.dumps(event)))
    return made


def test_commands_are_accepted_as_they_are() -> None:
    record = WORKLOAD.records("commands")[0]
    envelope = decode_command(record.value, record.headers)
    assert isinstance(envelope.data, CreateItems)
    assert record.key == envelope.data.gallery_id.encode()
    assert envelope.data.gallery_id in {gallery.gallery_id for gallery in WORKLOAD.stored()}


def test_items_are_of_a_realistic_size() -> None:
    (item,) = orjson.loads(WORKLOAD.records("commands")[0].value or b"")["items"]
    assert 500 < len(orjson.dumps(item)) < 700


def test_the_right_events_pass() -> None:
    WORKLOAD.check(events())


def test_galleries_may_come_in_any_order() -> None:
    WORKLOAD.check(sorted(events(), key=lambda event: bytes(event.key)))


def _lost(made: list[Any]) -> list[Any]:
    return made[:-1]


def _lost_between(made: list[Any]) -> list[Any]:
    return made[1:]


def _repeated(made: list[Any]) -> list[Any]:
    return [*made, made[-1]]


def _swapped(made: list[Any]) -> list[Any]:
    return [made[GALLERIES], *made[1:GALLERIES], made[0], *made[GALLERIES + 1 :]]


def _of_another_command(made: list[Any]) -> list[Any]:
    return [Event(made[0].key, made[0].value.replace(b"Photo 000000", b"Photo 000001")), *made[1:]]


def _under_another_key(made: list[Any]) -> list[Any]:
    return [Event(made[1].key, made[0].value), *made[1:]]


@pytest.mark.parametrize("spoil", [_lost, _lost_between, _repeated, _swapped, _of_another_command, _under_another_key])
def test_wrong_events_are_found_out(spoil: Callable[[list[Any]], list[Any]]) -> None:
    with pytest.raises(WrongEvents):
        WORKLOAD.check(spoil(events()))
