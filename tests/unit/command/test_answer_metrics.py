"""Answers to commands are counted by name and outcome, and rejections by code, from 0."""

from prometheus_client import REGISTRY

from triptych.command.flow.answer_metrics import UNREADABLE, count_answers
from triptych.contract.commands import COMMANDS
from triptych.contract.replies import ErrorCode, Reply, ReplyError


def answered(name: str, outcome: str) -> float:
    found = REGISTRY.get_sample_value("triptych_commands_total", {"name": name, "outcome": outcome})
    assert found is not None
    return found


def rejected(code: ErrorCode) -> float:
    found = REGISTRY.get_sample_value("triptych_command_rejections_total", {"code": code.value})
    assert found is not None
    return found


def rejection(code: ErrorCode) -> Reply:
    return Reply(command_id="c", outcome="rejected", error=ReplyError(code=code, message="x"))


def test_every_name_and_code_has_a_count_before_it_occurs() -> None:
    assert all(answered(name, outcome) >= 0 for name in (*COMMANDS, UNREADABLE) for outcome in ("accepted", "rejected"))
    assert all(rejected(code) >= 0 for code in ErrorCode)


def test_a_batch_of_answers_is_counted() -> None:
    before = answered("MoveItem", "accepted"), answered("MoveItem", "rejected"), rejected(ErrorCode.NOT_FOUND)
    accepted = Reply(command_id="c", outcome="accepted", gallery_id="g", sequence=1)
    count_answers(
        [
            ("MoveItem", accepted),
            ("MoveItem", rejection(ErrorCode.NOT_FOUND)),
            ("MoveItem", accepted),
            (UNREADABLE, rejection(ErrorCode.NOT_FOUND)),
        ]
    )
    after = answered("MoveItem", "accepted"), answered("MoveItem", "rejected"), rejected(ErrorCode.NOT_FOUND)
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 2]
