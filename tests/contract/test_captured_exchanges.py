"""Bodies captured from the client (contract, section 2.3) are read as the contract says."""

from typing import Any

import orjson

from tests.support.contract_examples import GALLERY, GALLERY_ID, ITEM_ID
from triptych.contract.commands import CreateGallery
from triptych.contract.gallery import GalleryPatch
from triptych.contract.item import ItemPatch


def test_a_created_gallery_keeps_everything_that_was_sent() -> None:
    command = CreateGallery.model_validate_json(orjson.dumps({"gallery": GALLERY}))
    expected: dict[str, Any] = orjson.loads(orjson.dumps(GALLERY))
    # The only difference: a picture is returned with a web address.
    expected["items"][0]["image"]["imageInfo"]["url"] = "https://static.wixstatic.com/media/abc~mv2.jpg"
    assert command.to_wire() == {"gallery": expected}


def test_a_clone_and_an_empty_gallery_are_valid() -> None:
    assert CreateGallery.model_validate({"cloneFromGalleryId": GALLERY_ID}).to_wire() == {
        "cloneFromGalleryId": GALLERY_ID
    }
    assert CreateGallery.model_validate({}).to_wire() == {}


def test_gallery_changes_are_read() -> None:
    changed = GalleryPatch.model_validate({"name": "New", "sortOrder": 420, "id": GALLERY_ID})
    assert changed.to_wire() == {"name": "New", "sortOrder": 420}
    cleared = GalleryPatch.model_validate({"name": None, "sortOrder": None, "id": GALLERY_ID})
    assert cleared.to_wire() == {"name": None}


def test_an_item_written_back_after_a_read_changes_only_what_clients_own() -> None:
    patch = ItemPatch.model_validate(
        {
            "_id": ITEM_ID,
            "title": "T",
            "type": "IMAGE",
            "tags": {"values": []},
            "id": ITEM_ID,
            "createdDate": "1970-01-01T00:00:00.000Z",
            "updatedDate": "1970-01-01T00:00:00.001Z",
        }
    )
    assert patch.to_wire() == {"title": "T", "tags": {"values": []}}
