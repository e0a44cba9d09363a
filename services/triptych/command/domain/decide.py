"""Decides commands one after another against a unit of work; each decision is a reply, or a job that ends in one."""

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
from triptych.command.domain.items import append_items, create_items, delete_items, update_item, without
from triptych.command.domain.order.moves import NEIGHBOURS_FIRST, NEIGHBOURS_MAX, move_item, move_items, too_many_bytes
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
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, UnitOfWork
from triptych.contract.codec.envelope import CommandEnvelope, Message, encode_event, encode_snapshot
from triptych.contract.commands import (
    ClearGallery,
    Command,
    CreateGallery,
    CreateItems,
    DeleteGallery,
    DeleteItems,
    MoveItem,
    MoveItems,
    RebalanceItems,
    RepublishGallery,
    RestoreGallery,
    UpdateGallery,
    UpdateItem,
)
from triptych.contract.replies import ErrorCode, Reply
from triptych.writemodel.galleries import Status

DIRECT_ITEMS, DIRECT_BYTES = 1_000, 8 * 1024 * 1024
"""The largest number of items and bytes that a command's own transaction handles. Larger work becomes a job."""


def decide(
    command: ReceivedCommand,
    unit: UnitOfWork,
    at: datetime,
    new_event_id: Callable[[], str],
    running_job: str | None = None,
) -> Reply | None:
    """Carry out one command in the unit of work.

    A repeated command gets its first reply and has no second effect. Another request under its key is rejected. The
    result is None if the command has started a job or waits for one; `running_job` is the job that it has waited for.

    Raises:
        NeedsMoreLoaded: the caller must load a new unit of work, with more, before this command can be decided.
    """
    envelope = command.envelope
    key = CommandKey.of(envelope)
    wire = envelope.data.to_wire()  # once, for the fingerprint and for the stored body
    fingerprint = fingerprint_of(envelope, wire)
    known = unit.outcomes.get(key)
    if known is not None and not known.matches(fingerprint):
        return _key_reused(command)  # not recorded: the outcome under this key belongs to the first request
    if known is not None and known.reply is not None:
        return known.reply
    current = unit.heads.get(command.gallery_id)
    if current is not None and current.job not in (None, running_job):
        unit.parked.append(command)
        return None
    context = CommandContext(envelope.site_id, envelope.command_id, at, new_event_id, envelope.source)
    try:
        if key in unit.creations_found:
            raise Rejected(ErrorCode.ALREADY_EXISTS, "a command with this id has created items long ago")
        # A job of its own has changed the gallery's sequence since it was checked, and nothing else has.
        is_checked = running_job == str(key)
        change = _change(command, wire, unit, context, is_checked=is_checked)
    except Rejected as rejected:
        reply = rejected.reply(envelope.command_id, command.gallery_id)
        unit.record_outcome(key, fingerprint, reply)
        return reply
    if change.job is not None:
        # Record the command now: otherwise another request under its key could begin too, and both would end.
        unit.record_outcome(key, fingerprint, None)
        job_head = change.head._replace(job=str(key))
        unit.record_change(command, replace(change, head=job_head), [])
        unit.jobs.append((command, change.job))
        # The command is the first of those that wait for its job, and is answered together with them.
        unit.parked.append(command)
        return None
    unit.record_change(command, change, messages_of(change, envelope))
    reply = accepted(envelope, change.head, change.item_ids)
    unit.record_outcome(key, fingerprint, reply)
    return reply


def _key_reused(command: ReceivedCommand) -> Reply:
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
    """The messages that a change publishes, in order."""
    messages = [_message(encode_event, event, envelope) for event in change.events]
    if change.snapshot:
        messages += [_message(encode_snapshot, record, envelope) for record in change.snapshot]
    return messages


def _message(encode: Callable[..., Message], content: Mapping[str, Any], envelope: CommandEnvelope) -> Message:
    return encode(
        content,
        site_id=envelope.site_id,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.command_id,
        traceparent=envelope.traceparent,
        command_source=envelope.source,
        tracestate=envelope.tracestate,
        notice_to=envelope.notice_to,
    )


def _change(
    command: ReceivedCommand,
    wire: Mapping[str, Any],
    unit: UnitOfWork,
    context: CommandContext,
    *,
    is_checked: bool,
) -> Change:
    """Choose the rule for the command and apply it.

    `wire` is the command's data in wire form; `is_checked` says that the gallery was at a sequence that it expects.
    """
    data = command.envelope.data
    head = unit.find_head(command.gallery_id, context.site_id)
    if isinstance(data, CreateGallery):
        _check_expected(data, head.sequence if head else 0)
        return _create_gallery(command.gallery_id, data, unit, context)
    if isinstance(data, RestoreGallery) and data.from_gallery_id is not None:
        _check_expected(data, head.sequence if head else 0)
        return _create_from_former(command.gallery_id, data, unit, context)
    if head is None:
        raise Rejected(ErrorCode.NOT_FOUND, "gallery not found", galleryId=command.gallery_id)
    if not is_checked:
        _check_expected(data, head.sequence)
    gallery_id = head.gallery_id
    taken = unit.taken[gallery_id]
    find = partial(unit.find_item, gallery_id)
    match data:
        case UpdateItem():  # first, because most commands are of this kind
            return update_item(head, find(data.item_id), data.item, wire["item"], taken, context)
        case CreateItems(to="end"):
            order = unit.loaded_ranges[gallery_id]
            return append_items(head, data.items, wire["items"], taken, order, context)
        case CreateItems():
            return create_items(head, data.items, wire["items"], taken, context)
        case MoveItem() | MoveItems():
            if CommandKey.of(command.envelope) in unit.over_move_limit:
                raise too_many_bytes()
            is_whole = gallery_id in unit.fully_loaded
            neighbours_known = (
                NEIGHBOURS_MAX
                if is_whole
                else unit.neighbours_known.get(CommandKey.of(command.envelope), NEIGHBOURS_FIRST)
            )
            order = unit.loaded_ranges[gallery_id]
            if isinstance(data, MoveItem):
                return move_item(head, data, find, order, neighbours_known, context)
            return move_items(head, data, find, order, neighbours_known, context)
        case DeleteItems():
            return delete_items(head, data.item_ids, find, context)
        case UpdateGallery():
            _refuse_taken_sort_order(unit, data.gallery.sort_order, context.site_id, gallery_id)
            return update_gallery(head, data.gallery, find, taken, context)
        case DeleteGallery() | ClearGallery() | RebalanceItems() | RepublishGallery():
            return _on_all_items(head, data, unit, context)
        case RestoreGallery():
            # A job of any size: the history has to be waited for, and no transaction may do that.
            return Change(head, job=JobRequest(JobKind.RESTORE, _former(data, gallery_id, context)))


def _on_all_items(
    head: GalleryHead,
    data: DeleteGallery | ClearGallery | RebalanceItems | RepublishGallery,
    unit: UnitOfWork,
    context: CommandContext,
) -> Change:
    if _is_large(head, unit):
        return _start_job(head, data)
    if head.gallery_id not in unit.fully_loaded:
        raise NeedsMoreLoaded
    items = unit.all_items(head.gallery_id)
    match data:
        case DeleteGallery():
            return delete_gallery(head, [item.item_id for item in items], context)
        case ClearGallery():
            return without(head, [item.item_id for item in items], context)
        case RepublishGallery():
            return republish(head, items, context)
        case RebalanceItems():
            if not items:
                return Change(head)
            low = items[-1].sort_order
            gap = spaced_gap(low, len(items))
            return space_out(head, items[::-1], low, gap, 0, len(items), context)


def _is_large(head: GalleryHead, unit: UnitOfWork) -> bool:
    return head.total_items > DIRECT_ITEMS or head.gallery_id in unit.over_byte_limit


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


def _create_gallery(gallery_id: str, data: CreateGallery, unit: UnitOfWork, context: CommandContext) -> Change:
    # A deleted gallery and one of another site keep their ids: ids are keys on the topics, which all sites share.
    if unit.heads.get(gallery_id) is not None:
        raise Rejected(ErrorCode.ALREADY_EXISTS, "a gallery with this id exists", galleryId=gallery_id)
    gallery = data.gallery
    source = None
    if data.clone_from_gallery_id is not None:
        source = unit.find_head(data.clone_from_gallery_id, context.site_id)
        if source is None:
            raise Rejected(ErrorCode.NOT_FOUND, "gallery to clone not found", galleryId=data.clone_from_gallery_id)
    sort_order = gallery.sort_order if gallery else None
    if sort_order is None:
        sort_order = unit.reserved_sort_orders[context.site_id].pop()
    else:
        _refuse_taken_sort_order(unit, sort_order, context.site_id, gallery_id)
    name = gallery.name if gallery else None
    if source is None:
        head = new_head(gallery_id, name, sort_order, context)
        return create_gallery(head, gallery.items if gallery else (), context)
    has_name = gallery is not None and "name" in gallery.model_fields_set
    head = new_head(gallery_id, name if has_name else source.name, sort_order, context)
    if _is_large(source, unit) or source.job is not None:
        state = {"source": source.gallery_id}
        return Change(head._replace(status=Status.BUILDING), job=JobRequest(JobKind.CLONE, state))
    if source.gallery_id not in unit.fully_loaded:
        raise NeedsMoreLoaded
    return clone_gallery(head, unit.all_items(source.gallery_id), context)


def _create_from_former(gallery_id: str, data: RestoreGallery, unit: UnitOfWork, context: CommandContext) -> Change:
    """Start the copy of a former state: a deleted gallery stays deleted, and its content gets a new id (D25)."""
    if unit.heads.get(gallery_id) is not None:
        raise Rejected(ErrorCode.ALREADY_EXISTS, "a gallery with this id exists", galleryId=gallery_id)
    head = new_head(gallery_id, None, unit.reserved_sort_orders[context.site_id].pop(), context)
    request = JobRequest(JobKind.CLONE, _former(data, data.from_gallery_id or "", context))
    return Change(head._replace(status=Status.BUILDING), job=request)


def _former(data: RestoreGallery, source: str, context: CommandContext) -> dict[str, Any]:
    """The state of a job that begins with a former state of a gallery (`triptych.command.flow.former_states`)."""
    at = {"sequence": data.sequence} if data.time is None else {"time": data.time}
    return {"source": source, "at": at, "since": context.now_ms}


def _check_expected(data: Command, sequence: int) -> None:
    if data.expected_sequence is not None and data.expected_sequence != sequence:
        expected = f"not {data.expected_sequence}"
    elif data.expected_sequences is not None and sequence not in data.expected_sequences:
        expected = "which is none of those expected"
    else:
        return
    raise Rejected(ErrorCode.SEQUENCE_CONFLICT, f"the gallery is at sequence {sequence}, {expected}", sequence=sequence)


def _refuse_taken_sort_order(unit: UnitOfWork, sort_order: float | None, site_id: str, gallery_id: str) -> None:
    blocking = None if sort_order is None else unit.gallery_sort_orders.get((site_id, sort_order))
    if blocking is not None and blocking != gallery_id:
        raise Rejected(
            ErrorCode.ALREADY_EXISTS,
            "sortOrder is taken by another gallery",
            galleryId=blocking,
            sortOrder=sort_order,
            field="gallery.sortOrder",
        )
