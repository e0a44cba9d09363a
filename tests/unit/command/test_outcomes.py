"""Outcomes are stored and read back, also those of versions without sources and fingerprints."""

from typing import Any

from tests.support.command_domain import START
from tests.support.commands import structured
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, ReceivedRecord, StoredOutcome
from triptych.command.store.outcomes import outcome_document, outcome_ids, outcomes_of
from triptych.contract.codec.envelope import decode_command, gallery_id_of
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import Reply

GALLERY = "10000000-0000-4000-8000-00000000000a"
OTHER = "20000000-0000-4000-8000-00000000000b"


def command(name: str = "ClearGallery", source: str = "a", **data: Any) -> ReceivedCommand:
    value = structured(name, data or ({"galleryId": GALLERY} if name != "CreateGallery" else {}), id="c", source=source)
    envelope = decode_command(value, [])
    return ReceivedCommand(0, gallery_id_of(envelope), envelope, ReceivedRecord("", 0, 0, None, value, ()))


def former(gallery_id: str) -> dict[str, Any]:
    reply = Reply(command_id="c", outcome="accepted", gallery_id=gallery_id, sequence=3)
    return {"_id": "default/c", "reply": reply.to_wire(), "at": START}


def test_an_outcome_is_read_back_unchanged() -> None:
    received = command()
    key = CommandKey.of(received.envelope)
    for reply in (None, Reply(command_id="c", outcome="accepted", gallery_id=GALLERY)):
        stored = outcome_document(key, StoredOutcome("f", reply), START)
        assert outcomes_of([received], {stored["_id"]: stored}) == {key: StoredOutcome("f", reply)}


def test_ids_of_earlier_versions_are_looked_up_only_while_such_outcomes_exist() -> None:
    received = [command(), command(source="b")]
    assert set(outcome_ids(received, has_former=False)) == {"default:1:a:c", "default:1:b:c"}
    assert set(outcome_ids(received, has_former=True)) == {"default:1:a:c", "default:1:b:c", "default/c"}


def test_an_outcome_of_an_earlier_version_counts_for_any_request_of_its_id_and_gallery() -> None:
    found = {"default/c": former(GALLERY)}
    for received in (command(), command("RebalanceItems", "b")):
        (known,) = outcomes_of([received], found).values()
        assert known.matches("whatever")
        assert known.reply is not None
        assert known.reply.sequence == 3
    assert outcomes_of([command(galleryId=OTHER)], found) == {}


def test_a_creation_is_found_under_the_gallery_id_that_the_earlier_version_derived() -> None:
    received = command("CreateGallery")
    assert outcomes_of([received], {"default/c": former(GALLERY)}) == {}
    assert len(outcomes_of([received], {"default/c": former(derived_gallery_id("default", "c"))})) == 1


def test_an_outcome_in_the_present_form_has_precedence() -> None:
    received = command()
    key = CommandKey.of(received.envelope)
    stored = outcome_document(key, StoredOutcome("f", None), START)
    found = {stored["_id"]: stored, "default/c": former(GALLERY)}
    assert outcomes_of([received], found)[key].fingerprint == "f"
