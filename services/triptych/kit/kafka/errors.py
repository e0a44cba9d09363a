"""Tells which errors of Kafka pass by themselves, and turns those at start into failures with words for a person."""

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidTopicError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.process.settings import KitSettings

ANSWER_SECONDS = 4.0
"""How long a process that starts waits for the answer to one question."""

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
"""Errors that no waiting mends."""


def start_failure(settings: KitSettings, error: Exception) -> StartRefused:
    """What an error, or a TimeoutError, means to a process that starts."""
    if isinstance(error, LASTING):
        return StartRefused(f"Kafka at {settings.kafka_bootstrap} refuses what is needed of it: {error!r}")
    if isinstance(error, KafkaConnectionError | TimeoutError):
        return NotYetAvailable(f"Kafka does not answer at {settings.kafka_bootstrap} (TRIPTYCH_KAFKA_BOOTSTRAP).")
    return NotYetAvailable(f"Kafka at {settings.kafka_bootstrap} is not ready: {error!r}")
