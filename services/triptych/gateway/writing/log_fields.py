"""Names a write in log lines: who sent it, its command, its request and its trace."""

from typing import Protocol

from triptych.kit.attribution import trace_of


class NamedWrite(Protocol):
    """The fields of a write request or a command that name it."""

    @property
    def site_id(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def command_id(self) -> str: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def traceparent(self) -> str | None: ...


def named_in_log(write: NamedWrite) -> dict[str, str | None]:
    """The fields of a log line about a write. Each part of a write has the correlation id of its request, and a number.

    The correlation id of a request is its id.
    """
    return {
        "site_id": write.site_id,
        "source": write.source,
        "command_id": write.command_id,
        "request_id": write.correlation_id.partition("/")[0],
        **trace_of(write.traceparent),
    }
