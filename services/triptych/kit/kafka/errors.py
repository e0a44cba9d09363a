"""Distinguishes lasting from transient Kafka errors, and turns errors at start into failures with a clear message."""

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from triptych.kit.failures import Fault, NotYetAvailable, StartRefused, TransientFailure, fault_of, server_of
from triptych.kit.process.settings import KitSettings

NO_ANSWER = "Kafka does not answer"
ANSWER_SECONDS = 4.0
"""How long a starting process waits for one response."""

LASTING = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTopicError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
"""Errors that waiting does not resolve."""


@fault_of.register(KafkaError)
def _(error: KafkaError) -> Fault:
    return Fault.OPERATOR if isinstance(error, LASTING) else Fault.DEPENDENCY


class KafkaAway(TransientFailure):
    """Kafka does not answer, or refuses for now what it is asked."""


@server_of.register(KafkaError)
@server_of.register(KafkaAway)
def _(_: Exception) -> str:
    return "kafka"


def no_answer(error: Exception) -> TransientFailure:
    """The failure that a Kafka error or a TimeoutError means for a process that runs."""
    return KafkaAway(f"{NO_ANSWER}: {error!r}")


def start_failure(settings: KitSettings, error: Exception) -> StartRefused:
    """The failure that a Kafka error or a TimeoutError means for a starting process."""
    if isinstance(error, LASTING):
        return StartRefused(f"Kafka at {settings.kafka_bootstrap} refuses what is needed of it: {error!r}")
    if isinstance(error, KafkaConnectionError | TimeoutError):
        return NotYetAvailable(f"{NO_ANSWER} at {settings.kafka_bootstrap} (TRIPTYCH_KAFKA_BOOTSTRAP).")
    return NotYetAvailable(f"Kafka at {settings.kafka_bootstrap} is not ready: {error!r}")
