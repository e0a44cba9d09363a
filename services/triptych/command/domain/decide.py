"""Decides commands one after another against a workspace; every outcome is a reply, or work that ends in one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from triptych.command.domain.fingerprints import fingerprint_of
from triptych.command.domain.galleries import (
    clone_gallery,
    create_gallery,
    delete_gallery,
    new_head,
    republish,
    update_gallery,
)
from triptych.command.domain.items import create_items, delete_items, update_item, without
from triptych.command.domain.order.moves import FIRST_LOOK, WIDEST_LOOK, move_item
from triptych.command.domain.order.rebalancing import space_out, spaced_gap
from triptych.command.domain.state import (
    Change,
    CommandContext,
    GalleryHead,
    JobKind,
    JobRequest,
    NeedsMoreLoaded,
    Rejected,
)
from triptych.command.domain.unit_of_work import CommandKey, PlacedCommand, UnitOfWork
from triptych.contract.codec.envelope import CommandEnvelope, Message, encode_event, encode_snapshot
from triptych.contract.commands import (
    ClearGallery,
    Command,
    CreateGallery,
    CreateItems,
    DeleteGallery,
    DeleteItems,
    MoveItem,
    RebalanceItems,
    RepublishGallery,
    UpdateGallery,
    UpdateItem,
)
from triptych.contract.replies import ErrorCode, Reply
from triptych.writemodel.galleries import Status

DIRECT_ITEMS, DIRECT_BYTES = 1_000, 8 * 1024 * 1024
"""Up to so many items and bytes are dealt with in the command's own transaction; more are the work of a job."""


def decide(
    command: PlacedCommand,
    workspace: UnitOfWork,
    at: datetime,
    new_event_id: Callable[[], str],
    running_job: str | None = None,
) -> Reply | None:
    """Carry out one command in the workspace.

    A command that was seen before gets the reply of the first time, and nothing happens again; another request under
    its key is rejected. Without a reply, the command has started a job or waits for one (`running_job` is the one that
    it has waited for).

    Raises:
        Unloaded: the workspace must be loaded anew, with more, before this command can be decided.
    """
    envelope = command.envelope
    key = CommandKey.of(envelope)
    wire = envelope.data.to_wire()  # once, for the fingerprint and for what is stored
    fingerprint = fingerprint_of(envelope, wire)
    known = workspace.outcomes.get(key)
    if known is not None and not known.is_of(fingerprint):
        return _reused(command)  # not recorded: the outcome under this key is that of the first request
    if known is not None and known.reply is not None:
        return known.reply
    current = workspace.heads.get(command.gallery_id)
    if current is not None and current.job not in (None, running_job):
        workspace.parked.append(command)
        return None
    origin = CommandContext(envelope.site_id, envelope.command_id, at, new_event_id, envelope.source)
    try:
        if key in workspace.creations_found:
            raise Rejected(ErrorCode.ALREADY_EXISTS, "a command with this id has created items long ago")
        change = _change(command, wire, workspace, origin)
    except Rejected as rejected:
        reply = rejected.reply(envelope.command_id, command.gallery_id)
        workspace.record_outcome(key, fingerprint, reply)
        return reply
    if change.job is not None:
        # Known from now on, or another request under its key could begin as well, and both would end with an outcome.
        workspace.record_outcome(key, fingerprint, None)
        job_head = change.head._replace(job=str(key))
        workspace.record(command, replace(change, head=job_head), [])
        workspace.jobs.append((command, change.job))
        # It is the first of the commands that wait for the job: its answer comes when theirs do.
        workspace.parked.append(command)
        return None
    workspace.record(command, change, messages_of(change, envelope))
    reply = accepted(envelope, change.head, change.item_ids)
    workspace.record_outcome(key, fingerprint, reply)
    return reply


def _reused(command: PlacedCommand) -> Reply:
    error = Rejected(ErrorCode.IDEMPOTENCY_KEY_REUSED, "the idempotency key belongs to another request")
    return error.reply(command.envelope.command_id, command.gallery_id)


def accepted(envelope: CommandEnvelope, head: GalleryHead, item_ids: tuple[str, ...] | None) -> Reply:
    """The reply to a command that was carried out."""
    return Reply(
        command_id=envelope.command_id,
        outcome="accepted",
        gallery_id=head.gallery_id,
        sequence=head.sequence,
        item_ids=None if item_ids is None else list(item_ids),
    )


def messages_of(change: Change, envelope: CommandEnvelope) -> list[Message]:
    """The records that a change publishes, in order."""
    return [
        encode(
            content,
            site_id=envelope.site_id,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.command_id,
            traceparent=envelope.traceparent,
            command_source=envelope.source,
            tracestate=envelope.tracestate,
        )
        for encode, contents in ((encode_event, change.events), (encode_snapshot, change.snapshot))
        for content in contents
    ]


def _change(command: PlacedCommand, wire: Mapping[str, Any], workspace: UnitOfWork, origin: CommandContext) -> Change:
    """`wire` is the command's data in wire form."""
    data = command.envelope.data
    head = workspace.find_head(command.gallery_id, origin.site_id)
    if isinstance(data, CreateGallery):
        _check_expected(data, head.sequence if head else 0)
        return _create_gallery(command.gallery_id, data, workspace, origin)
    if head is None:
        raise Rejected(ErrorCode.NOT_FOUND, "gallery not found", galleryId=command.gallery_id)
    _check_expected(data, head.sequence)
    gallery_id = head.gallery_id
    taken = workspace.taken[gallery_id]
    find = partial(workspace.find_item, gallery_id)
    match data:
        case CreateItems():
            return create_items(head, data.items, wire["items"], taken, origin)
        case UpdateItem():
            return update_item(head, find(data.item_id), data.item, wire["item"], taken, origin)
        case MoveItem():
            is_whole = gallery_id in workspace.fully_loaded
            look = (
                WIDEST_LOOK if is_whole else workspace.neighbours_known.get(CommandKey.of(command.envelope), FIRST_LOOK)
            )
            return move_item(head, data, find, workspace.loaded_ranges[gallery_id], look, origin)
        case DeleteItems():
            return delete_items(head, data.item_ids, find, origin)
        case UpdateGallery():
            _refuse_taken_place(workspace, data.gallery.sort_order, origin.site_id, gallery_id)
            return update_gallery(head, data.gallery, find, taken, origin)
        case DeleteGallery() | ClearGallery() | RebalanceItems() | RepublishGallery():
            return _on_all_items(head, data, workspace, origin)


def _on_all_items(
    head: GalleryHead,
    data: DeleteGallery | ClearGallery | RebalanceItems | RepublishGallery,
    workspace: UnitOfWork,
    origin: CommandContext,
) -> Change:
    if _is_large(head, workspace):
        return _start_job(head, data)
    if head.gallery_id not in workspace.fully_loaded:
        raise NeedsMoreLoaded
    items = workspace.all_items(head.gallery_id)
    match data:
        case DeleteGallery():
            return delete_gallery(head, [item.item_id for item in items], origin)
        case ClearGallery():
            return without(head, [item.item_id for item in items], origin)
        case RepublishGallery():
            return republish(head, items, origin)
        case RebalanceItems():
            if not items:
                return Change(head)
            low = items[-1].sort_order
            gap = spaced_gap(low, len(items))
            return space_out(head, items[::-1], low, gap, 0, len(items), origin)


def _is_large(head: GalleryHead, workspace: UnitOfWork) -> bool:
    return head.total_items > DIRECT_ITEMS or head.gallery_id in workspace.over_byte_limit


def _start_job(head: GalleryHead, data: DeleteGallery | ClearGallery | RebalanceItems | RepublishGallery) -> Change:
    match data:
        case DeleteGallery():
            return Change(head._replace(status=Status.DELETING), job=JobRequest(JobKind.DELETE))
        case ClearGallery():
            return Change(head, job=JobRequest(JobKind.CLEAR))
        case RebalanceItems():
            return Change(head, job=JobRequest(JobKind.REBALANCE))
        case RepublishGallery():
            return Change(head, job=JobRequest(JobKind.REPUBLISH))


def _create_gallery(gallery_id: str, data: CreateGallery, workspace: UnitOfWork, origin: CommandContext) -> Change:
    # Whatever site it belongs to, deleted or not: ids are keys on the topics, which all sites share.
    if workspace.heads.get(gallery_id) is not None:
        raise Rejected(ErrorCode.ALREADY_EXISTS, "a gallery with this id exists", galleryId=gallery_id)
    gallery = data.gallery
    source = None
    if data.clone_from_gallery_id is not None:
        source = workspace.find_head(data.clone_from_gallery_id, origin.site_id)
        if source is None:
            raise Rejected(ErrorCode.NOT_FOUND, "gallery to clone not found", galleryId=data.clone_from_gallery_id)
    sort_order = gallery.sort_order if gallery else None
    if sort_order is None:
        sort_order = workspace.reserved_sort_orders[origin.site_id].pop()
    else:
        _refuse_taken_place(workspace, sort_order, origin.site_id, gallery_id)
    name = gallery.name if gallery else None
    if source is None:
        head = new_head(gallery_id, name, sort_order, origin)
        return create_gallery(head, gallery.items if gallery else (), origin)
    has_name = gallery is not None and "name" in gallery.model_fields_set
    head = new_head(gallery_id, name if has_name else source.name, sort_order, origin)
    if _is_large(source, workspace) or source.job is not None:
        state = {"source": source.gallery_id}
        return Change(head._replace(status=Status.BUILDING), job=JobRequest(JobKind.CLONE, state))
    if source.gallery_id not in workspace.fully_loaded:
        raise NeedsMoreLoaded
    return clone_gallery(head, workspace.all_items(source.gallery_id), origin)


def _check_expected(data: Command, sequence: int) -> None:
    if data.expected_sequence is not None and data.expected_sequence != sequence:
        expected = f"not {data.expected_sequence}"
    elif data.expected_sequences is not None and sequence not in data.expected_sequences:
        expected = "which is none of those expected"
    else:
        return
    raise Rejected(ErrorCode.SEQUENCE_CONFLICT, f"the gallery is at sequence {sequence}, {expected}", sequence=sequence)


def _refuse_taken_place(workspace: UnitOfWork, place: float | None, site_id: str, gallery_id: str) -> None:
    blocking = None if place is None else workspace.gallery_sort_orders.get((site_id, place))
    if blocking is not None and blocking != gallery_id:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is taken by another gallery",
            galleryId=blocking,
            sortOrder=place,
            field="gallery.sortOrder",
        )
