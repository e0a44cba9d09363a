"""Updates change exactly the fields of items and galleries that the contract says (sections 2.2 and 4)."""

from typing import Any

import pytest

from tests.support.command_domain import SITE, TEXT, Gallery
from triptych.contract.item import ITEM_BYTES_MAX
from triptych.contract.replies import Reply

VIDEO: dict[str, Any] = {"video": {"videoInfo": {"url": "https://vimeo.com/1"}}}
FULL: dict[str, Any] = {
    **TEXT,
    "title": "t",
    "description": "d",
    "link": {"text": "l", "url": "https://u"},
    "tags": {"values": ["a", "b"]},
}
STRANGER = "00000000-0000-4000-8000-000000000001"


def code(reply: Reply) -> str:
    assert reply.error is not None, reply
    return reply.error.code


def test_fields_that_are_not_sent_stay() -> None:
    gallery = Gallery(FULL)
    gallery.update(title="new")
    assert {name: gallery.body()[name] for name in FULL} == {**FULL, "title": "new"}


@pytest.mark.parametrize("field", ["title", "description", "link", "tags"])
def test_null_clears(field: str) -> None:
    gallery = Gallery(FULL)
    assert gallery.update(**{field: None}).outcome == "accepted"
    assert field not in gallery.body()
    assert set(FULL) - {field} <= set(gallery.body())


@pytest.mark.parametrize("field", ["sortOrder", "text", "video", "image"])
def test_null_as_a_medium_or_sort_order_counts_as_not_sent(field: str) -> None:
    gallery = Gallery(FULL)
    before = gallery.body()
    assert gallery.update(**{field: None}).outcome == "accepted"
    assert {**gallery.body(), "updatedDate": None} == {**before, "updatedDate": None}


@pytest.mark.parametrize("field", ["link", "tags", "text"])
def test_objects_are_replaced_as_a_whole(field: str) -> None:
    value = {"link": {"url": "https://v"}, "tags": {"values": ["c"]}, "text": {"html": "y"}}[field]
    gallery = Gallery({**FULL, "text": {"html": "x", "css": {"width": 1}}})
    gallery.update(**{field: value})
    assert gallery.body()[field] == value


def test_a_new_medium_replaces_the_old_one() -> None:
    gallery = Gallery(FULL)
    assert gallery.body()["type"] == "TEXT"
    gallery.update(**VIDEO)
    assert gallery.body()["type"] == "VIDEO"
    assert "text" not in gallery.body()
    assert gallery.body()["video"]["type"] == "VIMEO"
    assert gallery.body()["title"] == "t"


def test_an_update_does_not_change_fields_that_only_the_server_sets() -> None:
    gallery = Gallery(FULL)
    created = gallery.body()["createdDate"]
    gallery.world.tick(5_000)
    gallery.update(id=STRANGER, createdDate="1970-01-01T00:00:00Z", type="IMAGE", title="new")
    assert (gallery.body()["id"], gallery.body()["createdDate"]) == (gallery.items[0], created)
    assert gallery.body()["updatedDate"] > created
    assert gallery.body()["type"] == "TEXT"


def test_an_item_cannot_exceed_its_limit_by_several_updates_below_it() -> None:
    gallery = Gallery(TEXT)
    css = {f"k{number}": "x" * 1000 for number in range(140)}
    exif = {"text": {"html": "x" * 100_000, "css": css}}
    assert gallery.update(**exif).outcome == "accepted"
    reply = gallery.update(link={"text": "y" * 30_000, "url": "https://u"})
    assert reply.outcome == "rejected"
    assert code(reply) == "INVALID_ARGUMENT"
    assert reply.error is not None
    assert reply.error.violations[0].data == {"threshold": ITEM_BYTES_MAX}
    assert "link" not in gallery.body()


def test_the_sort_order_of_another_item_is_refused_by_its_id_and_the_items_own_is_accepted() -> None:
    gallery = Gallery({**TEXT, "sortOrder": 1}, {**TEXT, "sortOrder": 2})
    reply = gallery.update(sortOrder=2)
    assert code(reply) == "ALREADY_EXISTS"
    assert reply.error is not None
    assert (reply.error.data["itemId"], reply.error.data["sortOrder"]) == (gallery.items[1], 2)
    assert gallery.update(sortOrder=1).outcome == "accepted"
    assert gallery.update(sortOrder=-0.0).outcome == "accepted"
    assert code(gallery.send("CreateItems", items=[{**TEXT, "sortOrder": 0}])) == "ALREADY_EXISTS"


def test_the_same_sort_order_in_another_gallery_is_accepted() -> None:
    gallery = Gallery({**TEXT, "sortOrder": 1})
    reply = gallery.world.send("CreateGallery", {"gallery": {"items": [{**TEXT, "sortOrder": 1}]}})
    assert reply.outcome == "accepted"


def test_a_list_with_one_rejected_item_changes_nothing() -> None:
    gallery = Gallery({**TEXT, "sortOrder": 1})
    before = gallery.head
    assert code(gallery.send("CreateItems", items=[TEXT, {**TEXT, "sortOrder": 1}, TEXT])) == "ALREADY_EXISTS"
    assert gallery.head == before
    assert gallery.world.order(gallery.id) == gallery.items


def test_a_gallery_keeps_fields_that_are_not_sent_and_null_clears_its_name_only() -> None:
    gallery = Gallery()
    gallery.send("UpdateGallery", gallery={})
    assert (gallery.head["name"], gallery.head["sortOrder"]) == ("n", 5)
    gallery.send("UpdateGallery", gallery={"name": None, "sortOrder": None, "items": None})
    assert "name" not in gallery.head
    assert gallery.head["sortOrder"] == 5


def test_a_gallerys_items_are_merged_by_id() -> None:
    gallery = Gallery({**TEXT, "title": "a"}, {**TEXT, "title": "b"})
    entries = [{"id": gallery.items[1], "title": "B"}, {**TEXT, "title": "c"}, {"id": STRANGER, **TEXT, "title": "d"}]
    reply = gallery.send("UpdateGallery", gallery={"items": entries})
    changed, *created = reply.item_ids or []
    assert changed == gallery.items[1]
    assert STRANGER not in created
    assert gallery.body(1)["title"] == "B"
    assert gallery.world.order(gallery.id) == [*created, *gallery.items]
    assert gallery.head["totalItems"] == 4
    assert [event["slug"] for event in gallery.world.events[-4:]] == [
        "updated",
        "gallery_item_updated",
        "gallery_item_created",
        "gallery_item_created",
    ]


def test_a_merge_may_name_an_item_once_only() -> None:
    gallery = Gallery(TEXT)
    entries = [{"id": gallery.items[0], "title": title} for title in "ab"]
    reply = gallery.send("UpdateGallery", gallery={"name": "new", "items": entries})
    assert code(reply) == "INVALID_ARGUMENT"
    assert reply.error is not None
    assert [violation.field for violation in reply.error.violations] == ["gallery.items[1].id"]
    assert gallery.head["name"] == "n"


def test_a_merge_may_swap_the_sort_orders_of_items() -> None:
    gallery = Gallery({**TEXT, "sortOrder": 1}, {**TEXT, "sortOrder": 2})
    entries = [{"id": gallery.items[0], "sortOrder": 2}, {"id": gallery.items[1], "sortOrder": 1}]
    assert gallery.send("UpdateGallery", gallery={"items": entries}).outcome == "accepted"
    assert gallery.world.order(gallery.id) == gallery.items


def test_an_entry_that_creates_needs_a_medium() -> None:
    gallery = Gallery(TEXT)
    reply = gallery.send("UpdateGallery", gallery={"items": [TEXT, {"id": STRANGER, "title": "x"}]})
    assert code(reply) == "INVALID_ARGUMENT"
    assert reply.error is not None
    assert reply.error.violations[0].field == "gallery.items[1]"
    assert gallery.head["totalItems"] == 1


def test_a_clone_may_have_another_name_and_sort_order() -> None:
    gallery = Gallery({**FULL, "sortOrder": 1}, {**FULL, "sortOrder": 9, "title": "shown first"})
    same = gallery.world.send("CreateGallery", {"cloneFromGalleryId": gallery.id})
    other = gallery.world.send(
        "CreateGallery", {"cloneFromGalleryId": gallery.id, "gallery": {"name": None, "sortOrder": 6}}
    )
    heads = gallery.world.unit.heads
    for reply, name in ((same, "n"), (other, None)):
        assert reply.gallery_id is not None
        head = heads[reply.gallery_id]
        assert head is not None
        assert head.name == name
        assert head.sort_order != 5
        items = [gallery.world.item(item) for item in gallery.world.order(reply.gallery_id)]
        assert [item.body["title"] for item in items if item] == ["shown first", "t"]
        assert not set(gallery.world.order(reply.gallery_id)) & set(gallery.items)


def test_deletion_counts_a_repeated_id_once_and_skips_strangers() -> None:
    gallery = Gallery(TEXT, TEXT)
    reply = gallery.send("DeleteItems", itemIds=[gallery.items[1], STRANGER, gallery.items[1]])
    assert (reply.outcome, reply.item_ids) == ("accepted", [gallery.items[1]])
    assert gallery.send("DeleteItems", itemIds=[STRANGER]).item_ids == []


def test_the_id_of_a_deleted_gallery_is_never_used_again() -> None:
    gallery = Gallery(TEXT)
    assert gallery.send("DeleteGallery").outcome == "accepted"
    assert [event["slug"] for event in gallery.world.events[-2:]] == ["gallery_item_deleted", "deleted"]
    assert gallery.world.events[-2]["originatedFrom"] == "Gallery Deleted"
    assert code(gallery.send("CreateGallery")) == "ALREADY_EXISTS"
    assert code(gallery.send("UpdateGallery", gallery={})) == "NOT_FOUND"


def test_another_site_finds_nothing_and_may_not_take_the_id() -> None:
    gallery = Gallery(TEXT)
    head = gallery.world.unit.heads[gallery.id]
    assert head is not None
    assert head.site_id == SITE
    assert gallery.world.unit.find_head(gallery.id, "other") is None


def test_a_repeated_command_gets_its_first_reply_and_does_nothing() -> None:
    gallery = Gallery()
    data = {"galleryId": gallery.id, "items": [TEXT]}
    first = gallery.world.send("CreateItems", data, "same")
    count = len(gallery.world.events)
    gallery.world.tick(1000)
    assert gallery.world.send("CreateItems", data, "same") == first
    assert len(gallery.world.events) == count
