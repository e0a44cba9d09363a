"""Converts outcomes of commands to documents and back, also those of versions that ignored the source; pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, StoredOutcome
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import Reply
from triptych.kit.mongo.driver import Document


def outcome_document(key: CommandKey, outcome: StoredOutcome, at: datetime) -> Document:
    """The document of an outcome; a document without a reply says that the command's job has begun."""
    document: Document = {"_id": str(key), "fingerprint": outcome.fingerprint, "at": at}
    if outcome.reply is not None:
        document["reply"] = outcome.reply.to_wire()
    return document


def outcome_ids(commands: Iterable[ReceivedCommand], *, has_former: bool) -> list[str]:
    """The ids under which outcomes of commands may be stored; with `has_former` also the ids of earlier versions."""
    keys = {CommandKey.of(command.envelope) for command in commands}
    ids = [str(key) for key in keys]
    return ids + [_former_id(key) for key in keys] if has_former else ids


def outcomes_of(commands: Iterable[ReceivedCommand], found: Mapping[str, Document]) -> dict[CommandKey, StoredOutcome]:
    """The outcomes of commands, found among documents by id.

    An outcome from an earlier version has neither source nor fingerprint. It counts for every command of its site, id
    and gallery: answering a new command as if it were repeated is better than carrying a repeated one out twice.
    """
    outcomes: dict[CommandKey, StoredOutcome] = {}
    if not found:  # nearly always; computing the keys costs microseconds for each command
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
    # Ids of the two forms never collide: a site has neither slash nor colon.
    return f"{key.site_id}/{key.command_id}"


def _is_about(former: Document, command: ReceivedCommand) -> bool:
    derived = derived_gallery_id(command.envelope.site_id, command.envelope.command_id)
    is_named = command.envelope.data.gallery_id is not None
    gallery_id: str | None = former["reply"].get("galleryId")
    return gallery_id == (command.gallery_id if is_named else derived)
