"""What a consumer of the joined topic makes of records that come in an unusual order."""

import orjson

from schemas.consumer import Galleries
from schemas.joined import gallery_key, item_key
from tests.unit.schemas.examples import GALLERY_ID, ITEM_ID


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


def test_an_item_that_stands_behind_its_head_shows_at_once() -> None:
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
