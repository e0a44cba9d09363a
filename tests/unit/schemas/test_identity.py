"""Ids that are derived from commands."""

from uuid import UUID

from tests.support.contract_examples import GALLERY_ID
from triptych.contract.codec.envelope import CommandEnvelope, gallery_id_of
from triptych.contract.commands import CreateGallery, DeleteGallery
from triptych.contract.identity import derived_gallery_id, derived_item_id


def test_ids_never_change_between_releases() -> None:
    assert derived_gallery_id("default", "c-1") == "b4ad3f28-5edc-4728-b1a3-612dc81a8cd7"
    assert derived_item_id("default", "c-1", 0) == "25f4601d-30a6-469f-b4bc-dc83dd437c23"


def test_ids_are_guids_of_version_4() -> None:
    for identifier in (derived_gallery_id("s", "c"), derived_item_id("s", "c", 3)):
        assert str(UUID(identifier)) == identifier
        assert UUID(identifier).version == 4


def test_different_inputs_give_different_ids() -> None:
    ids = [
        derived_gallery_id("a", "bc"),
        derived_gallery_id("ab", "c"),
        derived_gallery_id("b", "bc"),
        derived_item_id("a", "bc", 0),
        derived_item_id("a", "bc", 1),
        derived_item_id("a", "bc1", 0),
        derived_item_id("a", "b", 10),
        derived_item_id("a", "b1", 0),
    ]
    assert len(set(ids)) == len(ids)


def test_a_command_concerns_the_gallery_that_it_names_or_creates() -> None:
    named = CommandEnvelope("c", "s", "DeleteGallery", DeleteGallery(gallery_id=GALLERY_ID), None, "c", None)
    assert gallery_id_of(named) == GALLERY_ID
    created = CommandEnvelope("c", "s", "CreateGallery", CreateGallery(), None, "c", None)
    assert gallery_id_of(created) == derived_gallery_id("s", "c")
