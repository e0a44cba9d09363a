"""Shapes of the responses about listeners and deliveries, for the OpenAPI document."""

from triptych.contract.base import Guid, Instant, WireModel
from triptych.contract.codec.events import EventType
from triptych.webhooks.model.health import Circuit
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.retries import RetryProfile
from triptych.webhooks.store.delivery_documents import DeliveryStatus
from triptych.webhooks.store.listener_documents import ListenerStatus
from triptych.webhooks.store.operational_events import OperationalEventKind


class ListenerForm(WireModel):
    """A listener, without its secrets."""

    id: Guid
    url: str
    event_types: list[EventType]
    gallery_ids: list[Guid] | None
    format: Format
    retry_profile: RetryProfile
    retry_delays: list[float]
    timeout_seconds: float
    rate_limit: float | None
    ordered: bool
    description: str
    status: ListenerStatus
    problem: str | None
    failing_since: Instant | None
    key_ids: list[Guid]
    created_date: Instant
    updated_date: Instant


class ListenerAnswer(WireModel):
    """One listener."""

    listener: ListenerForm


class SecretAnswer(ListenerAnswer):
    """A listener with its new key: a shared secret, which is in no other response, or the public key of a key pair.

    `public_key` is PEM. `verification_key` is the public key of an Ed25519 pair in the form of Standard Webhooks
    (`whpk_`).
    """

    secret: str | None
    public_key: str | None
    verification_key: str | None


class ListenersAnswer(WireModel):
    """A page of listeners."""

    listeners: list[ListenerForm]
    cursor: str | None


class DeletedAnswer(WireModel):
    """The id of the listener that was deleted."""

    listener_id: Guid


class DeliveryForm(WireModel):
    """A delivery."""

    id: Guid
    listener_id: Guid
    event_id: Guid
    event_type: EventType
    gallery_id: Guid
    sequence: str
    event_time: Instant
    manual: bool
    status: DeliveryStatus
    reason: str | None
    attempts: int
    next_attempt_date: Instant | None
    created_date: Instant
    ended_date: Instant | None
    resent_date: Instant | None


class AttemptForm(WireModel):
    """One attempt: the request that was sent, and the listener's response."""

    date: Instant
    url: str
    request_headers: dict[str, str]
    status: int | None
    failure: str | None
    text: str
    latency_seconds: float
    answer: str


class LoggedDelivery(DeliveryForm):
    """A delivery with its attempts.

    `body` is what each attempt sends: the JSON of Standard Webhooks, or the claims of a Wix token, which each attempt
    signs anew with its own times. It is null if the event has expired.
    """

    log: list[AttemptForm]
    body: str | None


class DeliveriesAnswer(WireModel):
    """A page of deliveries."""

    deliveries: list[DeliveryForm]
    cursor: str | None


class DeliveryAnswer(WireModel):
    """One delivery."""

    delivery: DeliveryForm


class LoggedDeliveryAnswer(WireModel):
    """One delivery with its attempts."""

    delivery: LoggedDelivery


class AttemptedDelivery(DeliveryForm):
    """A delivery with its attempts, without the body that was sent."""

    log: list[AttemptForm]


class EventDeliveriesAnswer(WireModel):
    """The deliveries that an event has caused, with their attempts."""

    deliveries: list[AttemptedDelivery]


class ProgressAnswer(WireModel):
    """How many deliveries were queued, and the cursor of the next step; no cursor means that nothing is left.

    `seen` is the number of deliveries or events that the step has read, and `through_date`, of a replay, the time of
    the last event.
    """

    queued: int
    cursor: str | None
    seen: int
    through_date: Instant | None


class OperationalEvent(WireModel):
    """An operational event of a listener, and how often it happened on one day."""

    type: OperationalEventKind
    listener_id: Guid
    text: str
    count: int
    first_date: Instant
    last_date: Instant


class OperationalEventsAnswer(WireModel):
    """The latest operational events."""

    operational_events: list[OperationalEvent]


class HealthForm(WireModel):
    """How a listener has answered the latest attempts, up to 100, and what waits for it, up to 1,000 of each kind.

    `due` deliveries may be sent now, `later` ones are in flight or wait for their next attempt, and `waiting` ones wait
    for an earlier event of their gallery. `p95_seconds` is the time within which 95 of 100 attempts ended.
    """

    listener_id: Guid
    circuit: Circuit
    attempts: int
    succeeded: int
    p95_seconds: float | None
    since_date: Instant | None
    due: int
    oldest_due_date: Instant | None
    later: int
    next_attempt_date: Instant | None
    waiting: int
    dead: int


class HealthAnswer(WireModel):
    """The health of a page of listeners, and whether a relay is running: without one, nothing is sent to anybody."""

    health: list[HealthForm]
    has_relay: bool
    cursor: str | None
