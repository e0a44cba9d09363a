"""Describes a request to write: who sent it, by which identity it is recognised, and on which conditions it is done."""

from dataclasses import dataclass, replace
from typing import Any

from triptych.gateway.writing.read_your_writes import Position


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A request to write: its sender, its identity and its conditions.

    Attributes:
        site_id: the site that the write is limited to.
        source: the source of its commands.
        request: the name of the endpoint. Requests to different endpoints differ, even if their commands are equal.
        command_id: the idempotency key.
        has_client_key: whether the client chose the idempotency key, so that it may have been used before.
        correlation_id: unique to this request.
        traceparent, tracestate: W3C trace context of the request, if it has one.
        expected: the write happens only if the gallery has one of these sequences; None if it may have any.
        earlier: positions of earlier writes that the client sent with the request.
    """

    site_id: str
    source: str
    request: str
    command_id: str
    correlation_id: str
    has_client_key: bool = False
    traceparent: str | None = None
    expected: tuple[int, ...] | None = None
    earlier: tuple[Position, ...] = ()
    tracestate: str | None = None

    @property
    def expectation(self) -> dict[str, Any]:
        """The fields of the command that name the expected sequences."""
        if self.expected is None:
            return {}
        if len(self.expected) == 1:
            return {"expected_sequence": self.expected[0]}
        return {"expected_sequences": self.expected}

    def numbered(self, index: int) -> "WriteRequest":
        """The request of one of this write's commands, with an identity that no client's command can have."""
        return replace(
            self,
            source=f"{self.source}/parts",
            command_id=f"{self.command_id}/{index}",
            correlation_id=f"{self.correlation_id}/{index}",
        )
