"""Counts what became of replayed dead letters: carried out now, or long ago, or rejected."""

from collections.abc import Sequence

from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, UnitOfWork
from triptych.command.flow.reply_publisher import AddressedReply
from triptych.contract.replies import ErrorCode, Reply
from triptych.kit.kafka.transit import DONE, REJECTED, REPLAYED, STALE, is_replay


def count_replays(
    commands: Sequence[ReceivedCommand], replies: Sequence[AddressedReply | None], unit: UnitOfWork
) -> None:
    """Count the replayed ones of these commands, with their replies. Parked commands are counted when they return."""
    for command, addressed in zip(commands, replies, strict=True):
        if addressed is not None and is_replay(command.record.headers):
            REPLAYED.labels(command.record.topic, replay_outcome(command, addressed.reply, unit)).inc()


def replay_outcome(command: ReceivedCommand, reply: Reply, unit: UnitOfWork) -> str:
    """The outcome of a replayed command: it is stale if an earlier copy of it was carried out or rejected."""
    key = CommandKey.of(command.envelope)
    is_other_request = reply.error is not None and reply.error.code is ErrorCode.IDEMPOTENCY_KEY_REUSED
    # A command that was parked had no outcome then. Its reply is stored when its own job ends, so it looks repeated.
    is_new = key in unit.decided or command.parked_id is not None
    if key in unit.creations_found or not (is_new or is_other_request):
        return STALE
    return DONE if reply.outcome == "accepted" else REJECTED
