"""The product accepts the mixed commands, and a wrong result is detected."""

from collections import Counter

import orjson
import pytest

from benchmarks.scenarios.commands import MIX
from benchmarks.simulation import new_gallery, play
from benchmarks.workload import Ends, Workload, WrongEvents, items_of
from triptych.contract.codec.envelope import decode_command

WORKLOAD = Workload(400, MIX, items=5, galleries=20)


def ends() -> Ends:
    """The final state after the commands."""
    galleries = WORKLOAD.stored()
    steps = play(galleries, 400, MIX)
    counts = Counter(step.data["galleryId"] for step in steps)
    return {
        gallery.gallery_id: (
            1 + counts[gallery.gallery_id],
            len(gallery.order),
            [item.title for item in gallery.order],
        )
        for gallery in galleries
    }


def test_every_command_is_accepted_as_it_is() -> None:
    decoded = [decode_command(record.value, record.headers) for record in WORKLOAD.records("commands")]
    assert {envelope.name for envelope in decoded} == set(MIX)
    assert len({envelope.command_id for envelope in decoded}) == 400


def test_commands_come_in_the_proportions_asked_for() -> None:
    counts = Counter(step.name for step in play([new_gallery(1, 400)], 10_000, MIX))
    assert {name: round(count / 10_000, 2) for name, count in counts.items()} == pytest.approx(MIX, abs=0.02)


def test_every_move_changes_the_order_and_nothing_else() -> None:
    galleries = [new_gallery(1, 3)]
    for _ in range(20):
        before = [item.title for item in galleries[0].order]
        play(galleries, 1, {"MoveItem": 1})
        after = [item.title for item in galleries[0].order]
        assert after != before
        assert sorted(after) == sorted(before)


def test_stored_items_stand_in_display_order() -> None:
    gallery = new_gallery(1, 5)
    stored = list(items_of(gallery))
    stored.sort(key=lambda item: -item["sortOrder"])
    assert [item["item"]["title"] for item in stored] == [item.title for item in gallery.order]
    assert 500 < len(orjson.dumps(stored[0]["item"])) < 850


def test_the_right_end_passes() -> None:
    WORKLOAD.check_ends(ends())


@pytest.mark.parametrize("part", ["sequence", "count", "order", "gallery"])
def test_a_wrong_end_is_found_out(part: str) -> None:
    found = ends()
    gallery_id, (sequence, count, titles) = next(iter(found.items()))
    match part:
        case "sequence":
            found[gallery_id] = (sequence + 1, count, titles)
        case "count":
            found[gallery_id] = (sequence, count - 1, titles)
        case "order":
            found[gallery_id] = (sequence, count, titles[::-1])
        case "gallery":
            del found[gallery_id]
    with pytest.raises(WrongEvents):
        WORKLOAD.check_ends(found)
