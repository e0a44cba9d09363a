"""The records of the joined topic."""

from typing import Any

import orjson

from tests.support.histories import History
from triptych.contract.joined import HEAD_BYTES_MAX, GalleryRecord, ItemRecord, gallery_key, item_key
from triptych.projector.join.records import EncodedItem, head_records, item_records
from triptych.projector.view.batch import fold
from triptych.projector.view.fold import View


def _value(value: bytes | None) -> dict[str, Any]:
    assert value is not None
    decoded: dict[str, Any] = orjson.loads(value)
    return decoded


def _folded(history: History) -> tuple[View, dict[str, EncodedItem | None]]:
    batch = fold({}, [(history.site_id, event) for event in history.events])
    items = {
        item.item_id: (item.sequence, orjson.dumps(item.item)) if item.item else None for item in batch.items.values()
    }
    return batch.views[history.gallery_id], items


def _first_items(history: History) -> list[bytes]:
    return [orjson.dumps(item) for item in history.shown_items()]


def test_a_gallery_and_its_items_have_records_as_the_schemas_say() -> None:
    history = History(site_id="s").create()
    first, second = history.add_item(1), history.add_item(2)
    view, items = _folded(history)
    ((key, head),) = head_records(view, _first_items(history))

    assert key == gallery_key(history.gallery_id)
    assert _value(head) == {
        "galleryId": history.gallery_id,
        "siteId": "s",
        "sequence": 3,
        "totalItems": 2,
        "gallery": {**history.head(), "items": []},
        "items": history.shown_items(),
        "itemsTruncated": False,
    }
    GalleryRecord.model_validate_json(head or b"")

    records = item_records(view, items)
    assert [key for key, _ in records] == [item_key(history.gallery_id, item_id) for item_id in (first, second)]
    value = _value(records[1][1])
    assert (value["sequence"], value["siteId"], value["item"]) == (3, "s", history.items[second])
    assert value["gallery"].keys() == {"id", "name", "sortOrder", "createdDate"}
    ItemRecord.model_validate(value)


def test_what_is_gone_is_a_tombstone() -> None:
    history = History().create()
    kept, removed = history.add_item(1), history.add_item(2)
    history.delete_item(removed)
    view, items = _folded(history)
    unknown = "00000000-0000-4000-8000-000000000000"
    records = dict(item_records(view, {**items, unknown: None}))
    assert records[item_key(history.gallery_id, kept)] is not None
    assert records[item_key(history.gallery_id, removed)] is None
    assert records[item_key(history.gallery_id, unknown)] is None

    view, items = _folded(history.delete())
    assert {value for _, value in item_records(view, items)} == {None}
    assert head_records(view, []) == [(gallery_key(history.gallery_id), None)]


def test_a_head_stays_below_the_limit_of_a_message_and_says_that_it_was_cut() -> None:
    history = History().create()
    for order in range(5):
        history.add_item(order, text={"html": "h" * 250_000})
    view, _ = _folded(history)
    ((_, value),) = head_records(view, _first_items(history))
    head = _value(value)
    assert (len(head["items"]), head["itemsTruncated"], head["totalItems"]) == (3, True, 5)
    assert len(value or b"") < HEAD_BYTES_MAX + 1_000


def test_a_gallery_that_is_not_complete_yet_has_items_and_no_record_of_its_own() -> None:
    history = History().create(first_items=2)
    first = history.add_item(1)
    view, items = _folded(history)
    ((key, value),) = item_records(view, items)
    assert (key, _value(value)["item"]) == (item_key(history.gallery_id, first), history.items[first])
    assert head_records(view, _first_items(history)) == []
    assert head_records(View("s", history.gallery_id), []) == []
