"""Decides commands one after another against a workspace; every outcome is a reply."""

from collections.abc import Callable
from datetime import datetime

from schemas.commands import Command, CreateGallery, CreateItems
from schemas.envelope import encode_event
from schemas.replies import ErrorCode, Reply
from services.command.domain import Change, Origin, Rejected, create_gallery, create_items
from services.command.workspace import CommandKey, PlacedCommand, Workspace


def decide(command: PlacedCommand, workspace: Workspace, at: datetime, new_event_id: Callable[[], str]) -> Reply:
    """Carry out one command in the workspace.

    A command id that was seen before gets the reply of the first time, and nothing happens again.
    """
    envelope = command.envelope
    known = workspace.outcomes.get(CommandKey.of(envelope))
    if known is not None:
        return known
    origin = Origin(envelope.site_id, envelope.command_id, at, new_event_id)
    try:
        change = _change(command, workspace, origin)
    except Rejected as rejected:
        reply = Reply(
            command_id=envelope.command_id,
            outcome="rejected",
            gallery_id=command.gallery_id,
            error=rejected.error,
        )
    else:
        messages = [
            encode_event(
                event,
                site_id=envelope.site_id,
                correlation_id=envelope.correlation_id,
                causation_id=envelope.command_id,
                traceparent=envelope.traceparent,
            )
            for event in change.events
        ]
        workspace.record(command, change, messages)
        reply = Reply(
            command_id=envelope.command_id,
            outcome="accepted",
            gallery_id=command.gallery_id,
            sequence=change.head.sequence,
            item_ids=[item.item_id for item in change.created],
        )
    workspace.settle(envelope, reply)
    return reply


def _change(command: PlacedCommand, workspace: Workspace, origin: Origin) -> Change:
    data = command.envelope.data
    head = workspace.head_of(command.gallery_id, origin.site_id)
    _check_expected(data, head.sequence if head else 0)
    match data:
        case CreateGallery():
            return _create_gallery(command.gallery_id, data, workspace, origin)
        case CreateItems():
            if head is None:
                raise Rejected(ErrorCode.NOT_FOUND, "gallery not found", galleryId=command.gallery_id)
            return create_items(head, data.items, workspace.taken[head.gallery_id], origin)
        case _:
            raise Rejected(ErrorCode.UNIMPLEMENTED, f"{command.envelope.name} is not supported yet")


def _check_expected(data: Command, sequence: int) -> None:
    if data.expected_sequence is not None and data.expected_sequence != sequence:
        raise Rejected(
            ErrorCode.SEQUENCE_CONFLICT,
            f"the gallery is at sequence {sequence}, not {data.expected_sequence}",
            sequence=sequence,
        )


def _create_gallery(gallery_id: str, data: CreateGallery, workspace: Workspace, origin: Origin) -> Change:
    if data.clone_from_gallery_id is not None:
        raise Rejected(ErrorCode.UNIMPLEMENTED, "cloning is not supported yet")
    # Whatever site it belongs to: ids are keys on the topics, which all sites share.
    if workspace.heads.get(gallery_id) is not None:
        raise Rejected(ErrorCode.ALREADY_EXISTS, "a gallery with this id exists", galleryId=gallery_id)
    gallery = data.gallery
    sort_order = gallery.sort_order if gallery else None
    if sort_order is None:
        sort_order = workspace.free_places[origin.site_id].pop()
    elif (blocking := workspace.gallery_places.get((origin.site_id, sort_order))) is not None:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is taken by another gallery",
            galleryId=blocking,
            sortOrder=sort_order,
            field="gallery.sortOrder",
        )
    return create_gallery(
        gallery_id, gallery.name if gallery else None, sort_order, gallery.items if gallery else (), origin
    )
