"""Distinguishes lasting from transient Kafka errors."""

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from triptych.kit.failures import Fault, TransientFailure, fault_of, server_of

NO_ANSWER = "Kafka does not answer"
ANSWER_SECONDS = 4.0
"""How long a starting process waits for one response."""

LASTING = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
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


class TokenRefused(AuthenticationFailedError):  # type: ignore[misc]
    """There is no token that a broker would accept, and waiting does not help."""


class TokenUnavailable(KafkaConnectionError):  # type: ignore[misc]
    """The token URL does not answer at present."""
