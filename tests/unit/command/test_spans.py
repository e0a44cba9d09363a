"""The spans of commands: events continue the trace of their command's span, and each span says the outcome."""

from opentelemetry.trace import StatusCode

from tests.support.traces import SAMPLED, SPAN_ID, TRACE_ID, UNSAMPLED, Traces, attributes_of, parent_of, span_id_of
from triptych.command.domain.state import JobKind
from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord
from triptych.command.flow.reply_publisher import AddressedReply
from triptych.command.flow.spans import command_spans, in_its_span, in_their_spans, note_outcomes, step_span
from triptych.command.store.jobs import Job
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import DeleteGallery
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.kit.tracing.spans import NO_SPANS

G = "0198c0de-0000-4000-8000-000000000001"


def command(number: int, traceparent: str | None) -> ReceivedCommand:
    envelope = CommandEnvelope(
        f"c{number}", "s", "DeleteGallery", DeleteGallery(gallery_id=G), None, f"r{number}", traceparent, "sender"
    )
    return ReceivedCommand(2, G, envelope, ReceivedRecord("commands", 2, number, b"k", b"v", ()))


def reply(number: int, error: ReplyError | None = None) -> AddressedReply:
    outcome = "accepted" if error is None else "rejected"
    made = Reply.model_validate({"commandId": f"c{number}", "outcome": outcome, "error": error})
    return AddressedReply(made, 2, "s", f"r{number}", None, "sender")


def test_sampled_commands_continue_in_their_own_spans_and_say_their_outcomes(traces: Traces) -> None:
    commands = [command(0, SAMPLED), command(1, None), *(command(number, SAMPLED) for number in (2, 3, 4))]
    rejected = ReplyError(code=ErrorCode.NOT_FOUND, message="secret")
    with command_spans(commands) as spans:
        traced = in_their_spans(commands, spans)
        replies = [reply(0), reply(1), reply(2, rejected)]
        assert note_outcomes(traced, replies, [(traced[3], KeyError("secret"))], spans) == [0]
    first, second, third, fourth = traces.named("process commands")
    assert {parent_of(span) for span in (first, second, third, fourth)} == {SPAN_ID}
    assert traced[1] is commands[1]
    assert traced[0].envelope.traceparent == f"00-{TRACE_ID}-{span_id_of(first)}-01"
    assert traced[0]._replace(envelope=commands[0].envelope) == commands[0]
    assert attributes_of(first) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "commands",
        "messaging.destination.partition.id": "2",
        "messaging.kafka.offset": 0,
        "messaging.message.id": "c0",
        "messaging.message.conversation_id": "r0",
        "triptych.command.name": "DeleteGallery",
        "triptych.command.outcome": "accepted",
        "triptych.gallery.id": G,
    }
    assert attributes_of(second)["triptych.command.outcome"] == "rejected"
    assert attributes_of(second)["triptych.command.error_code"] == "NOT_FOUND"
    assert second.status.status_code is StatusCode.UNSET  # a rejection is an answer, not a failure of the service
    assert third.status.status_code is StatusCode.ERROR
    assert attributes_of(third)["error.type"] == "KeyError"
    assert attributes_of(fourth)["triptych.command.outcome"] == "parked"
    assert not any("secret" in span.to_json() for span in traces.all())


def test_commands_that_are_not_sampled_stay_the_same(traces: Traces) -> None:
    commands = [command(0, UNSAMPLED), command(1, None)]
    with command_spans(commands) as spans:
        assert in_their_spans(commands, spans) is commands
        assert not note_outcomes(commands, [reply(0)], [], spans)
    assert traces.all() == []


def test_without_tracing_commands_stay_the_same() -> None:
    commands = [command(0, SAMPLED)]
    spans = command_spans(commands)
    assert spans is NO_SPANS
    assert in_their_spans(commands, spans) is commands


def test_a_step_of_a_job_is_in_the_trace_of_its_command(traces: Traces) -> None:
    job = Job("j", JobKind.CLEAR, command(0, SAMPLED), {}, again=False, step=7)
    with step_span(job) as span:
        traced = in_its_span(job, span)
    step = traces.one("step clear")
    assert parent_of(step) == SPAN_ID
    assert attributes_of(step)["triptych.job.step"] == 7
    assert traced.envelope.traceparent == f"00-{TRACE_ID}-{span_id_of(step)}-01"
    unsampled = Job("j", JobKind.CLEAR, command(0, UNSAMPLED), {}, again=False)
    with step_span(unsampled) as none:
        assert in_its_span(unsampled, none) is unsampled
