"""A command is identified by site, source and id; a fingerprint distinguishes repetitions from other requests."""

import itertools
import json
from typing import Any

import pytest

from tests.support.command_domain import World
from tests.support.commands import TEXT, structured
from triptych.command.domain.fingerprints import fingerprint_of
from triptych.command.domain.unit_of_work import CommandKey
from triptych.contract.codec.envelope import CommandEnvelope, decode_command

GALLERY = "10000000-0000-4000-8000-00000000000a"
OTHER = "20000000-0000-4000-8000-00000000000b"
ITEM = "30000000-0000-4000-8000-00000000000c"
FREE_FORM = {"text": {"html": "x", "css": {"b": [1, {"d": None, "c": 2.5}], "a": "ä"}}}

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("CreateGallery", {}),
    ("CreateGallery", {"galleryId": GALLERY}),
    ("CreateGallery", {"galleryId": GALLERY, "gallery": {"name": "n"}}),
    ("CreateGallery", {"galleryId": GALLERY, "gallery": {"items": [TEXT]}}),
    ("CreateGallery", {"galleryId": GALLERY, "cloneFromGalleryId": OTHER}),
    ("CreateGallery", {"galleryId": GALLERY, "cloneFromGalleryId": OTHER, "gallery": {}}),
    ("CreateGallery", {"galleryId": GALLERY, "cloneFromGalleryId": OTHER, "gallery": {"name": None}}),
    ("UpdateGallery", {"galleryId": GALLERY, "gallery": {}}),
    ("UpdateGallery", {"galleryId": GALLERY, "gallery": {"name": None}}),
    ("UpdateGallery", {"galleryId": GALLERY, "gallery": {"name": ""}}),
    ("UpdateGallery", {"galleryId": GALLERY, "gallery": {"items": [TEXT]}}),
    ("UpdateGallery", {"galleryId": GALLERY, "gallery": {"items": [{**TEXT, "id": ITEM}]}}),
    *((name, {"galleryId": GALLERY}) for name in ("DeleteGallery", "ClearGallery", "RebalanceItems")),
    ("RepublishGallery", {"galleryId": GALLERY}),
    ("RestoreGallery", {"galleryId": GALLERY, "sequence": 1}),
    ("RestoreGallery", {"galleryId": GALLERY, "sequence": 2}),
    ("RepublishGallery", {"galleryId": OTHER}),
    ("RepublishGallery", {"galleryId": GALLERY, "expectedSequence": 0}),
    ("RepublishGallery", {"galleryId": GALLERY, "expectedSequences": []}),
    ("RepublishGallery", {"galleryId": GALLERY, "expectedSequences": [0, 1]}),
    ("CreateItems", {"galleryId": GALLERY, "items": [TEXT]}),
    ("CreateItems", {"galleryId": GALLERY, "items": [TEXT, TEXT]}),
    ("CreateItems", {"galleryId": GALLERY, "items": [TEXT, TEXT], "to": "end"}),
    ("CreateItems", {"galleryId": GALLERY, "items": [FREE_FORM]}),
    ("CreateItems", {"galleryId": GALLERY, "items": [{"text": {"html": "x", "css": {"b": [1, {"c": 2.5}]}}}]}),
    ("UpdateItem", {"galleryId": GALLERY, "itemId": ITEM, "item": {"title": "t"}}),
    ("UpdateItem", {"galleryId": GALLERY, "itemId": ITEM, "item": {"title": None}}),
    ("UpdateItem", {"galleryId": GALLERY, "itemId": ITEM, "item": {"sortOrder": 1}}),
    ("MoveItem", {"galleryId": GALLERY, "itemId": ITEM, "before": OTHER}),
    ("MoveItem", {"galleryId": GALLERY, "itemId": ITEM, "after": OTHER}),
    ("MoveItem", {"galleryId": GALLERY, "itemId": ITEM, "to": "end"}),
    ("MoveItems", {"galleryId": GALLERY, "itemIds": [ITEM], "to": "end"}),
    ("MoveItems", {"galleryId": GALLERY, "itemIds": [ITEM], "to": "start"}),
    ("MoveItems", {"galleryId": GALLERY, "itemIds": [ITEM, OTHER], "to": "start"}),
    ("MoveItems", {"galleryId": GALLERY, "itemIds": [OTHER, ITEM], "to": "start"}),
    ("DeleteItems", {"galleryId": GALLERY, "itemIds": [ITEM]}),
    ("DeleteItems", {"galleryId": GALLERY, "itemIds": [ITEM, OTHER]}),
    ("DeleteItems", {"galleryId": GALLERY, "itemIds": [OTHER, ITEM]}),
]


def read(name: str, data: dict[str, Any], **attributes: str) -> CommandEnvelope:
    return decode_command(structured(name, data, id="c", **attributes), [])


def test_no_two_requests_have_the_same_fingerprint() -> None:
    prints = [fingerprint_of(read(name, data)) for name, data in REQUESTS]
    # An empty gallery asks for the same as none.
    same = {(5, 4)}
    for (at, one), (before, other) in itertools.combinations(reversed(list(enumerate(prints))), 2):
        assert one != other or (at, before) in same, (REQUESTS[at], REQUESTS[before])


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(list(value))}
    return [_reversed(element) for element in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "data"), REQUESTS)
def test_spelling_does_not_count(name: str, data: dict[str, Any]) -> None:
    expected = fingerprint_of(read(name, data, source="a"))
    upper_case = {key: value.upper() if key.endswith("Id") else value for key, value in data.items()}
    for variant in (_reversed(data), upper_case, {**data, "unknown": [1]}, {**data, "expectedSequence": None}):
        if variant.get("expectedSequence", 1) is None and "expectedSequence" in data:
            continue
        assert fingerprint_of(read(name, variant, source="a")) == expected
    type_ = f"triptych.command.v1.{name}".encode()
    binary = [("ce_specversion", b"1.0"), ("ce_id", b"d"), ("ce_type", type_), ("ce_siteid", b"other")]
    assert fingerprint_of(decode_command(json.dumps(data, indent=3).encode(), binary)) == expected


def test_the_request_attribute_counts() -> None:
    data = {"galleryId": GALLERY, "itemIds": [ITEM]}
    prints = {
        fingerprint_of(read("DeleteItems", data, **attributes))
        for attributes in ({}, {"request": "a"}, {"request": "b"})
    }
    assert len(prints) == 3


def test_different_keys_have_different_texts() -> None:
    texts = ["a", "a/b", "a:b", "/", ":", "1:a", "", "\n"]
    keys = [CommandKey("s", source, "".join(ids)) for source in (None, *texts) for ids in itertools.product(texts, "x")]
    assert len({str(key) for key in keys}) == len(set(keys))
    former = {f"s/{key.command_id}" for key in keys}
    assert not former & {str(key) for key in keys}


SENT: list[tuple[str, dict[str, Any]]] = [
    ("CreateGallery", {}),
    ("CreateGallery", {"gallery": {"name": "another"}}),
    ("UpdateGallery", {"gallery": {"name": "changed"}}),
    ("DeleteGallery", {}),
    ("ClearGallery", {}),
    ("RebalanceItems", {}),
    ("RepublishGallery", {}),
    ("CreateItems", {"items": [TEXT]}),
    ("UpdateItem", {"item": {"title": "changed"}}),
    ("MoveItem", {"to": "start"}),
    ("MoveItems", {"to": "start"}),
    ("DeleteItems", {}),
]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(range(len(SENT)), 2)))
def test_another_request_under_a_key_is_rejected_by_name_and_does_nothing(first: int, second: int) -> None:
    world = World()
    made = world.send("CreateGallery", {"gallery": {"items": [TEXT, TEXT]}})

    def send(index: int) -> Any:
        name, data = SENT[index]
        data = {**data} if name == "CreateGallery" else {"galleryId": made.gallery_id, **data}
        if name in ("UpdateItem", "MoveItem"):
            data["itemId"] = (made.item_ids or [""])[0]
        if name in ("MoveItems", "DeleteItems"):
            data["itemIds"] = made.item_ids
        return world.send(name, data, "key", "source")

    reply = send(first)
    count, heads = len(world.events), dict(world.unit.heads)
    refused = send(second)
    assert refused.error is not None
    assert (refused.outcome, refused.error.code) == ("rejected", "IDEMPOTENCY_KEY_REUSED")
    assert (len(world.events), world.unit.heads) == (count, heads)
    assert send(first) == reply


def test_sources_do_not_share_ids() -> None:
    world = World()
    data = {"gallery": {"items": [TEXT]}}
    replies = [world.send("CreateGallery", data, "order-1", source) for source in ("/shop-a", "/shop-b", None)]
    assert [reply.outcome for reply in replies] == ["accepted"] * 3
    assert len({reply.gallery_id for reply in replies}) == 3
    assert len({item_id for reply in replies for item_id in reply.item_ids or ()}) == 3
    assert [world.send("CreateGallery", data, "order-1", source) for source in ("/shop-a", "/shop-b", None)] == replies


@pytest.mark.parametrize(
    ("expected", "outcome"), [([1], "accepted"), ([7, 1], "accepted"), ([], "rejected"), ([0, 2], "rejected")]
)
def test_one_of_the_expected_sequences_must_be_the_gallerys(expected: list[int], outcome: str) -> None:
    world = World()
    gallery_id = world.send("CreateGallery", {}).gallery_id
    reply = world.send("RebalanceItems", {"galleryId": gallery_id, "expectedSequences": expected})
    assert reply.outcome == outcome
    assert reply.error is None or (reply.error.code, reply.error.data) == ("SEQUENCE_CONFLICT", {"sequence": 1})
