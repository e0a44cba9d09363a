"""The galleries that a consumer builds from joined records in an unusual order."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.support.contract_examples import GALLERY_ID, ITEM_ID
from triptych.client import TOMBSTONE_RETENTION, Galleries, ReadAgain
from triptych.contract.joined import gallery_key, item_key


def _feed(galleries: Galleries, sequence: int, title: str | None = None) -> str | None:
    """An item record, or without a title the head record of a gallery of one item."""
    if title is None:
        value = {"sequence": sequence, "gallery": {"id": GALLERY_ID, "totalItems": 1}}
        return galleries.feed(gallery_key(GALLERY_ID), orjson.dumps(value))
    value = {"sequence": sequence, "item": {"id": ITEM_ID, "sortOrder": 1, "title": title}}
    return galleries.feed(item_key(GALLERY_ID, ITEM_ID), orjson.dumps(value))


def _title(galleries: Galleries) -> str | None:
    gallery = galleries.get(GALLERY_ID)
    return gallery["items"][0]["title"] if gallery else None


def test_an_item_shows_with_the_next_head() -> None:
    galleries = Galleries()
    assert (_feed(galleries, 2, "first"), _title(galleries)) == (None, None)
    assert (_feed(galleries, 2), _title(galleries)) == (GALLERY_ID, "first")
    assert (_feed(galleries, 3, "second"), _title(galleries)) == (None, "first")
    assert (_feed(galleries, 3), _title(galleries)) == (GALLERY_ID, "second")


def test_an_item_after_its_head_shows_at_once() -> None:
    galleries = Galleries()
    _feed(galleries, 2, "first")
    _feed(galleries, 3)
    assert (_feed(galleries, 3, "second"), _title(galleries)) == (GALLERY_ID, "second")
    assert (_feed(galleries, 2, "first"), _title(galleries)) == (None, "second")


def test_an_item_that_was_removed_does_not_come_back_with_an_outdated_record() -> None:
    galleries = Galleries()
    _feed(galleries, 2, "first")
    galleries.feed(item_key(GALLERY_ID, ITEM_ID), None)
    empty = {"sequence": 3, "gallery": {"id": GALLERY_ID, "totalItems": 0}}
    galleries.feed(gallery_key(GALLERY_ID), orjson.dumps(empty))
    assert _feed(galleries, 2, "first") is None
    assert galleries.get(GALLERY_ID) == {"id": GALLERY_ID, "totalItems": 0, "items": []}


def test_a_late_head_does_not_show_an_item_of_a_later_sequence() -> None:
    galleries = Galleries()
    _feed(galleries, 2, "first")
    _feed(galleries, 2)
    _feed(galleries, 5, "third")
    # From a process that was paused: its item of sequence 3 was dropped, or would be dropped.
    assert (_feed(galleries, 3), _title(galleries), galleries.sequence(GALLERY_ID)) == (None, "first", 2)
    assert (_feed(galleries, 5), _title(galleries), galleries.sequence(GALLERY_ID)) == (GALLERY_ID, "third", 5)


def test_a_removed_item_stays_removed_while_its_head_is_awaited() -> None:
    galleries = Galleries()
    _feed(galleries, 2, "first")
    _feed(galleries, 2)
    galleries.feed(item_key(GALLERY_ID, ITEM_ID), None)
    assert (_feed(galleries, 3, "late"), _title(galleries)) == (None, "first")
    empty = {"sequence": 4, "gallery": {"id": GALLERY_ID, "totalItems": 0}}
    assert galleries.feed(gallery_key(GALLERY_ID), orjson.dumps(empty)) == GALLERY_ID
    assert galleries.get(GALLERY_ID) == {"id": GALLERY_ID, "totalItems": 0, "items": []}


def test_a_saved_state_is_resumed_in_the_middle_of_a_change() -> None:
    galleries = Galleries()
    _feed(galleries, 2, "first")
    _feed(galleries, 2)
    _feed(galleries, 3, "second")
    galleries = Galleries.resume(orjson.loads(orjson.dumps(galleries.save(datetime.now(UTC)))))
    assert _title(galleries) == "first"
    assert _feed(galleries, 2, "first") is None
    assert (_feed(galleries, 3), _title(galleries)) == (GALLERY_ID, "second")
    galleries.feed(gallery_key(GALLERY_ID), None)
    galleries = Galleries.resume(galleries.save(datetime.now(UTC)))
    assert (_feed(galleries, 4), galleries.get(GALLERY_ID)) == (None, None)


def test_a_state_older_than_tombstones_is_refused() -> None:
    galleries = Galleries()
    _feed(galleries, 2, "first")
    _feed(galleries, 2)
    saved = galleries.save(datetime.now(UTC) - TOMBSTONE_RETENTION - timedelta(seconds=1))
    with pytest.raises(ReadAgain):
        Galleries.resume(saved)
    assert Galleries.resume(saved, timedelta(days=2)).get(GALLERY_ID) is not None
