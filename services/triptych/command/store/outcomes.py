"""What is stored of commands that were carried out, also by versions that did not count their source; pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, StoredOutcome
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import Reply
from triptych.kit.mongo.driver import Document


def outcome_document(key: CommandKey, processed: StoredOutcome, at: datetime) -> Document:
    """The document of an outcome; one without a reply says that the command has begun long work."""
    document: Document = {"_id": str(key), "fingerprint": processed.fingerprint, "at": at}
    if processed.reply is not None:
        document["reply"] = processed.reply.to_wire()
    return document


def outcome_ids(commands: Iterable[PlacedCommand], *, has_former: bool) -> list[str]:
    """The ids under which outcomes of commands may be stored; with `has_former` those of earlier versions too."""
    keys = {CommandKey.of(command.envelope) for command in commands}
    ids = [str(key) for key in keys]
    return ids + [_former_id(key) for key in keys] if has_former else ids


def outcomes_of(commands: Iterable[PlacedCommand], found: Mapping[str, Document]) -> dict[CommandKey, StoredOutcome]:
    """The outcomes of commands among documents by id.

    One from an earlier version tells neither source nor fingerprint. It belongs to every command of its site, id and
    gallery: better that one which is new is answered as if it were repeated than that one which is repeated has a
    second effect.
    """
    outcomes: dict[CommandKey, StoredOutcome] = {}
    if not found:  # nearly always, and each command's keys cost microseconds
        return outcomes
    for command in commands:
        key = CommandKey.of(command.envelope)
        document = found.get(str(key))
        if document is None and (former := found.get(_former_id(key))) and _is_about(former, command):
            document = former
        if document is not None:
            reply = Reply.model_validate(document["reply"]) if "reply" in document else None
            outcomes[key] = StoredOutcome(document.get("fingerprint"), reply)
    return outcomes


def _former_id(key: CommandKey) -> str:
    # No id of the present form is equal to one: a site has neither slash nor colon.
    return f"{key.site_id}/{key.command_id}"


def _is_about(former: Document, command: PlacedCommand) -> bool:
    derived = derived_gallery_id(command.envelope.site_id, command.envelope.command_id)
    is_named = command.envelope.data.gallery_id is not None
    gallery_id: str | None = former["reply"].get("galleryId")
    return gallery_id == (command.gallery_id if is_named else derived)
