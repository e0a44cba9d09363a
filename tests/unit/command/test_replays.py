"""What became of a replayed command: new, stale, or rejected."""

from tests.support.command_domain import SITE
from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand, ReceivedRecord, StoredOutcome, UnitOfWork
from triptych.command.flow.replays import replay_outcome
from triptych.contract.codec.envelope import CommandEnvelope, gallery_id_of
from triptych.contract.commands import COMMANDS
from triptych.contract.replies import ErrorCode, Reply, ReplyError

ACCEPTED = Reply(command_id="c", outcome="accepted", gallery_id="g")


def rejected(code: ErrorCode) -> Reply:
    return Reply(command_id="c", outcome="rejected", error=ReplyError(code=code, message="m"))


def command(parked_id: str | None = None) -> ReceivedCommand:
    data = COMMANDS["CreateGallery"].model_validate({})
    envelope = CommandEnvelope("c", SITE, "CreateGallery", data, None, "c", None)
    record = ReceivedRecord("commands", 0, 0, None, b"", ())
    return ReceivedCommand(0, gallery_id_of(envelope), envelope, record, parked_id)


def test_a_command_that_was_decided_now_is_new() -> None:
    unit = UnitOfWork(decided={CommandKey.of(command().envelope): StoredOutcome("f", ACCEPTED)})
    assert replay_outcome(command(), ACCEPTED, unit) == "done"
    assert replay_outcome(command(), rejected(ErrorCode.NOT_FOUND), unit) == "rejected"


def test_a_command_that_was_answered_before_is_stale() -> None:
    assert replay_outcome(command(), ACCEPTED, UnitOfWork()) == "stale"
    assert replay_outcome(command(), rejected(ErrorCode.NOT_FOUND), UnitOfWork()) == "stale"
    unit = UnitOfWork(creations_found={CommandKey.of(command().envelope)})
    assert replay_outcome(command(), rejected(ErrorCode.ALREADY_EXISTS), unit) == "stale"


def test_another_request_under_its_key_is_a_rejection() -> None:
    assert replay_outcome(command(), rejected(ErrorCode.IDEMPOTENCY_KEY_REUSED), UnitOfWork()) == "rejected"


def test_a_command_that_waited_for_its_job_is_new() -> None:
    assert replay_outcome(command("parked"), ACCEPTED, UnitOfWork()) == "done"
