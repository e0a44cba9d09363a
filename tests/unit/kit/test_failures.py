"""Whose fault an error is, whichever driver it comes from."""

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure, WriteError

import triptych.kit.kafka.errors
import triptych.kit.mongo.driver  # noqa: F401 - the drivers' errors are registered by these modules
from triptych.command.domain.state import NeedsMoreLoaded, TooManyBytes
from triptych.command.store.jobs import JobMovedOn
from triptych.command.store.repository import Conflict
from triptych.kit.failures import (
    Fault,
    NotYetAvailable,
    OutcomeUnknown,
    OwnershipLost,
    RecordTooLarge,
    StartRefused,
    TransientFailure,
    fault_of,
)
from triptych.projector.ingest.expired_events import EventsExpired

FAULTS: list[tuple[BaseException, Fault]] = [
    (TransientFailure("x"), Fault.DEPENDENCY),
    (OutcomeUnknown("x"), Fault.DEPENDENCY),
    (EventsExpired("x"), Fault.DEPENDENCY),
    (NotYetAvailable("x"), Fault.DEPENDENCY),
    (TimeoutError(), Fault.DEPENDENCY),
    (ConnectionResetError(), Fault.DEPENDENCY),
    (KafkaConnectionError("x"), Fault.DEPENDENCY),
    (KafkaTimeoutError("x"), Fault.DEPENDENCY),
    (NotLeaderForPartitionError("x"), Fault.DEPENDENCY),
    (AutoReconnect("x"), Fault.DEPENDENCY),
    (OperationFailure("write conflict", 112), Fault.DEPENDENCY),
    (RecordTooLarge("x", [0]), Fault.OPERATOR),
    (StartRefused("x"), Fault.OPERATOR),
    (SaslAuthenticationFailed("x"), Fault.OPERATOR),
    (TopicAuthorizationFailedError("x"), Fault.OPERATOR),
    (OwnershipLost("x"), Fault.OWNERSHIP),
    (DuplicateKeyError("x", 11000), Fault.OURS),
    (WriteError("bad value", 2), Fault.OURS),
    (OperationFailure("document too large", 10334), Fault.OURS),
    (Conflict("x"), Fault.OURS),
    (NeedsMoreLoaded(), Fault.OURS),
    (TooManyBytes(), Fault.OURS),
    (JobMovedOn(), Fault.OURS),
    (FileNotFoundError(), Fault.OURS),
    (AssertionError(), Fault.OURS),
    (KeyError("x"), Fault.OURS),
]


@pytest.mark.parametrize(("error", "fault"), FAULTS, ids=[type(error).__name__ for error, _ in FAULTS])
def test_whose_fault(error: BaseException, fault: Fault) -> None:
    assert fault_of(error) is fault
