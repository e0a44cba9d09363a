"""Gives commands and the steps of jobs their spans, if tracing is on; events continue the trace of their span."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from triptych.command.domain.unit_of_work import CommandKey, ReceivedCommand
from triptych.command.flow.reply_publisher import AddressedReply
from triptych.command.store.jobs import Job
from triptych.contract.codec.trace_context import is_sampled
from triptych.kit.tracing.messages import message_attributes
from triptych.kit.tracing.spans import (
    NO_OPERATION,
    NO_SPANS,
    RECORDS_MAX,
    BatchSpans,
    Context,
    Operation,
    Source,
    tracer_in_use,
)

NAME, OUTCOME, CODE = "triptych.command.name", "triptych.command.outcome", "triptych.command.error_code"
PARKED = "parked"
"""The outcome of a command that waits for a job, or starts one."""


def command_spans(commands: Sequence[ReceivedCommand]) -> BatchSpans:
    """The spans of commands that are carried out in one transaction."""
    tracer = tracer_in_use()
    if tracer is None:
        return NO_SPANS
    sources = (
        (index, Source(_context(command), _attributes(command)))
        for index, command in enumerate(commands)
        if command.envelope.traceparent is not None and is_sampled(command.envelope.traceparent)
    )
    return tracer.batch(commands[0].record.topic, len(commands), dict(islice(sources, RECORDS_MAX)))


def in_their_spans(commands: Sequence[ReceivedCommand], spans: BatchSpans) -> Sequence[ReceivedCommand]:
    """The same commands, each in the context of its span if it has one: its events pass that context on."""
    if not spans.contexts:
        return commands
    changed = list(commands)
    for index, context in spans.contexts.items():
        changed[index] = _in_context(changed[index], context)
    return changed


def note_outcomes(
    commands: Sequence[ReceivedCommand],
    replies: Sequence[AddressedReply],
    faulty: Sequence[tuple[ReceivedCommand, Exception]],
    spans: BatchSpans,
) -> Sequence[int]:
    """Note the outcome of each command that has a span; the result is the indexes of the accepted ones."""
    if not spans.contexts:
        return ()
    by_key = {CommandKey(one.site_id, one.source, one.reply.command_id): one.reply for one in replies}
    faults = {CommandKey.of(command.envelope): error for command, error in faulty}
    accepted = []
    for index in spans.contexts:
        key = CommandKey.of(commands[index].envelope)
        if (error := faults.get(key)) is not None:
            spans.fail(index, type(error).__qualname__)
        elif (reply := by_key.get(key)) is None:
            spans.note(index, {OUTCOME: PARKED})
        else:
            code = {CODE: reply.error.code.value} if reply.error is not None else {}
            spans.note(index, {OUTCOME: reply.outcome, **code})
            if reply.error is None:
                accepted.append(index)
    return accepted


def step_span(job: Job) -> Operation:
    """The span of a step of a job, in the trace of the command that asked for the job."""
    tracer = tracer_in_use()
    parent = job.envelope.traceparent
    if tracer is None or parent is None or not is_sampled(parent):
        return NO_OPERATION
    attributes = {"triptych.job.kind": job.kind.value, "triptych.job.step": job.step, **_attributes(job.command)}
    return tracer.step(f"step {job.kind.value}", _context(job.command), attributes)


def in_its_span(job: Job, span: Operation) -> Job:
    """The same job in the context of the span, if there is one."""
    return job if span.context is None else replace(job, command=_in_context(job.command, span.context))


def _in_context(command: ReceivedCommand, context: Context) -> ReceivedCommand:
    traceparent, _ = context  # the trace state stays as it came
    return command._replace(envelope=command.envelope._replace(traceparent=traceparent))


def _context(command: ReceivedCommand) -> Context:
    return command.envelope.traceparent, command.envelope.tracestate


def _attributes(command: ReceivedCommand) -> dict[str, str | int]:
    envelope, record = command.envelope, command.record
    found = message_attributes(envelope.command_id, envelope.correlation_id, record.partition, record.offset)
    return {**found, NAME: envelope.name, "triptych.gallery.id": command.gallery_id}
