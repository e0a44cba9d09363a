"""Models of the bodies that listeners of Standard Webhooks receive (docs/listeners.md)."""

from pydantic import Field

from triptych.contract.base import Instant, WireModel
from triptych.contract.domain_event import DomainEvent, EventType


class WebhookEvent(DomainEvent):
    """An event as the events topic has it, without its type, which the body has."""

    event_type: EventType = Field(exclude=True)


class StandardBody(WireModel):
    """The body of a delivery of an event in the formats of Standard Webhooks."""

    type: EventType
    timestamp: Instant
    data: WebhookEvent
