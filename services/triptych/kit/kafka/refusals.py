"""Finds out why Kafka could not be reached at start: whether waiting may help, and the reason in one line.

aiokafka reports a wrong password, a wrong certificate and an absent broker by the same error, and writes the reason to
its log only. So a start that has failed is followed by one connection of our own, whose error is kept.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.kafka.errors import ANSWER_SECONDS, LASTING, NO_ANSWER, TokenRefused, TokenUnavailable
from triptych.kit.kafka.security import connection_options
from triptych.kit.process.kafka_settings import KafkaSettings
from triptych.kit.process.tls import lasting_tls_error, tls_reason

INQUIRY_SECONDS = 3.0
INQUIRY_AFTER_TIMEOUT_SECONDS = 0.5
"""With the time of the start itself, less than the 5 s within which a command reports what is missing."""
_AUTHENTICATION = (AuthenticationFailedError, SaslAuthenticationFailed)
_NO_MECHANISM = (AuthenticationMethodNotSupported, UnsupportedSaslMechanismError)
_REPORTED_HERE = ('Unable connect to "%s:%s": %s', 'Unable to request metadata from "%s:%s": %s')

_is_starting: ContextVar[bool] = ContextVar("is_starting", default=False)
# The failure of a start says the same, and adds which setting is wrong.
logging.getLogger("aiokafka").addFilter(lambda record: not (_is_starting.get() and record.msg in _REPORTED_HERE))


@asynccontextmanager
async def starting(settings: KafkaSettings, seconds: float = ANSWER_SECONDS) -> AsyncIterator[None]:
    """Run a block in which a client connects for the first time, for at most `seconds`.

    Raises:
        NotYetAvailable: no broker answers, or none can be used at present.
        StartRefused: the broker refuses the connection permanently.
    """
    token = _is_starting.set(True)
    try:
        async with asyncio.timeout(seconds):
            yield
    except (KafkaError, TimeoutError) as error:
        raise await start_failure(settings, error) from None
    finally:
        _is_starting.reset(token)


async def start_failure(settings: KafkaSettings, error: Exception) -> StartRefused:
    """The failure that a Kafka error or a TimeoutError means for a starting process."""
    if isinstance(error, LASTING):
        return _refusal(settings, settings.kafka_bootstrap, error)
    seconds = INQUIRY_AFTER_TIMEOUT_SECONDS if isinstance(error, TimeoutError) else INQUIRY_SECONDS
    try:
        async with asyncio.timeout(seconds):
            address, reason = await _first_failure(settings)
    except TimeoutError:
        address, reason = settings.kafka_bootstrap, error
    if reason is not None and is_lasting(reason):
        return _refusal(settings, address, reason)
    if isinstance(reason, TokenUnavailable):
        return NotYetAvailable(f"There is no token for Kafka: {reason.args[0]}.")
    if _is_cut_off(reason):
        return NotYetAvailable(
            f"Kafka at {address} ends the connection before it is usable. If this lasts, its listener has another "
            f"protocol than TRIPTYCH_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}."
        )
    if isinstance(error, KafkaConnectionError | TimeoutError):
        return NotYetAvailable(f"{NO_ANSWER} at {settings.kafka_bootstrap} (TRIPTYCH_KAFKA_BOOTSTRAP).")
    return NotYetAvailable(f"Kafka at {settings.kafka_bootstrap} is not ready: {error!r}")


def is_lasting(error: BaseException) -> bool:
    """Whether a connection that failed with this error would fail again."""
    return isinstance(error, LASTING) or lasting_tls_error(error) is not None


async def _first_failure(settings: KafkaSettings) -> tuple[str, BaseException | None]:
    """Connect to the brokers as a client does. Returns the address and the error of the first one that refuses.

    Without a refusal, it is any error of the brokers that were asked; None if all of them can be used.
    """
    address, failure = settings.kafka_bootstrap, None
    hosts = [(host, port) for host, port, _ in collect_hosts(settings.kafka_bootstrap)]
    advertised: list[tuple[str, int]] = []
    for host, port in hosts:
        try:
            advertised = await _brokers(settings, host, port)
        except (OSError, KafkaError, TimeoutError) as error:
            address, failure = f"{host}:{port}", error
            if is_lasting(error):
                return address, failure
        else:
            failure = None
            break
    # The names that brokers advertise may differ from the address of the settings, and from their certificates.
    for host, port in advertised:
        try:
            await _brokers(settings, host, port)
        except (OSError, KafkaError, TimeoutError) as error:
            address, failure = f"{host}:{port}", error
            if is_lasting(error):
                return address, failure
    return address, failure


async def _brokers(settings: KafkaSettings, host: str, port: int) -> list[tuple[str, int]]:
    """Ask a broker for the addresses of all brokers, on a connection of its own."""
    options = connection_options(settings)
    del options["bootstrap_servers"]
    connection: Any = AIOKafkaConnection(host, port, client_id="triptych", request_timeout_ms=10_000, **options)
    try:
        await connection.connect()
        metadata = await connection.send(MetadataRequest([]))
        return [(broker[1], broker[2]) for broker in metadata.brokers]
    finally:
        connection.close()


def _is_cut_off(reason: BaseException | None) -> bool:
    """Whether a broker accepted the connection and then closed it."""
    is_refused = isinstance(reason, ConnectionRefusedError)
    return isinstance(reason, KafkaConnectionError | ConnectionError | EOFError) and not is_refused


def _refusal(settings: KafkaSettings, address: str, error: BaseException) -> StartRefused:
    tls = lasting_tls_error(error)
    words = str(error.args[0]) if error.args else repr(error)
    if isinstance(error, TokenRefused):
        return StartRefused(f"Kafka at {address} cannot be used: {words}.")
    if tls is not None:
        return StartRefused(_tls_words(address, tls_reason(tls)))
    if isinstance(error, _AUTHENTICATION):
        names = "TRIPTYCH_KAFKA_USERNAME, TRIPTYCH_KAFKA_PASSWORD"
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            is_file = settings.kafka_oauth_token_file is not None
            names = f"TRIPTYCH_KAFKA_OAUTH_TOKEN_{'FILE' if is_file else 'URL'}"
        return StartRefused(f"Kafka at {address} refuses the credentials ({names}): {words}.")
    if isinstance(error, _NO_MECHANISM):
        mechanism = settings.kafka_sasl_mechanism
        return StartRefused(f"Kafka at {address} does not offer TRIPTYCH_KAFKA_SASL_MECHANISM={mechanism}.")
    if isinstance(error, IllegalSaslStateError):
        return StartRefused(
            f"Kafka at {address} does not authenticate by SASL, as "
            f"TRIPTYCH_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} says."
        )
    return StartRefused(f"Kafka at {address} refuses what is needed of it: {error!r}")


def _tls_words(address: str, reason: str) -> str:
    if "alert" in reason:
        return (
            f"Kafka at {address} refuses the TLS connection: {reason} (TRIPTYCH_KAFKA_TLS_CERTIFICATE_FILE, if the "
            "broker asks for a certificate)."
        )
    return f"The certificate of Kafka at {address} is not accepted: {reason} (TRIPTYCH_KAFKA_TLS_CA_FILE)."
