"""Reads the W3C Trace Context that is passed on from requests and commands to events; invalid values are left out.

https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
TRACEPARENT_MAX = 512
"""Characters of a traceparent: version 00 has 55, and later versions may have more."""
TRACESTATE_MAX = 512
"""Characters of a tracestate: the least that the standard requires to be passed on."""
MEMBERS_MAX = 32
LONG_MEMBER = 128
"""Members with more characters are left out first."""

_ODD = frozenset("13579bdf")
_ODD_BYTES = frozenset(digit.encode() for digit in _ODD)
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-[\x21-\x7e]*)?"
)
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


class TraceContext(NamedTuple):
    """A traceparent, which identifies a trace, and a tracestate, which has additions of tracing systems."""

    traceparent: str | None = None
    tracestate: str | None = None


NO_TRACE = TraceContext()


def trace_context(attributes: Mapping[str, str]) -> TraceContext:
    """The trace context among attributes or header fields, by their names in lower case."""
    parent = attributes.get(TRACEPARENT)
    if parent is None or not is_traceparent(parent):
        return NO_TRACE
    state = attributes.get(TRACESTATE)
    return TraceContext(parent, None if state is None else _passed_on(state))


def is_traceparent(text: str) -> bool:
    """Whether this is a valid traceparent, of the present version or a later one."""
    if len(text) > TRACEPARENT_MAX:
        return False
    found = _TRACEPARENT.fullmatch(text)
    return found is not None and (found["more"] is None or found["version"] != "00")


def is_sampled(traceparent: str) -> bool:
    """Whether the sender of a valid traceparent says that it has sampled the trace: the last bit of the flags."""
    return traceparent[54] in _ODD


def sampled_context(headers: Sequence[tuple[str, bytes]]) -> TraceContext | None:
    """The trace context in the headers of an event, if it is valid and sampled. Of several headers, the last counts."""
    found: dict[str, bytes | None] = dict(headers)  # Kafka has null values
    parent = found.get(TRACEPARENT)
    if not parent or parent[54:55] not in _ODD_BYTES:  # before the rest, which costs ten times as much
        return None
    texts = {name: (found.get(name) or b"").decode(errors="replace") for name in (TRACEPARENT, TRACESTATE)}
    context = trace_context(texts)
    return None if context.traceparent is None else context


def _passed_on(state: str) -> str | None:
    """The members of a tracestate, within TRACESTATE_MAX; None if one of them is invalid, which makes all invalid."""
    members = [member.strip(" \t") for member in state.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > MEMBERS_MAX or len(keys) < len(members):
        return None
    if not all(_MEMBER.fullmatch(member) for member in members):
        return None
    if _length(members) > TRACESTATE_MAX:
        members = [member for member in members if len(member) <= LONG_MEMBER]
    while _length(members) > TRACESTATE_MAX:
        members.pop()
    return ",".join(members) or None


def _length(members: list[str]) -> int:
    return sum(len(member) + 1 for member in members) - 1
