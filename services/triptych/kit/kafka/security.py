"""Says how every Kafka client connects: the arguments of aiokafka that the settings mean."""

import logging
import ssl
from functools import lru_cache
from typing import Any

from triptych.kit.kafka import oauth_refusals, tls_closing
from triptych.kit.process.kafka_settings import KafkaSettings
from triptych.kit.process.secrets import text_of_secret
from triptych.kit.process.tls import TlsFiles, client_context

oauth_refusals.install()
tls_closing.install()
# At level DEBUG, aiokafka logs whole requests, and those that authenticate contain passwords and tokens.
logging.getLogger("aiokafka.conn").addFilter(lambda record: record.levelno > logging.DEBUG)


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """The arguments for any client of aiokafka: addresses, encryption and authentication. Needs a running event loop.

    Raises:
        StartRefused: a file of certificates or keys cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.uses_kafka_tls:
        options["ssl_context"] = _context(_files(settings))
    match settings.kafka_sasl_mechanism:
        case None:
            pass
        case "OAUTHBEARER":
            # Only here: it imports an HTTP client.
            from triptych.kit.kafka.tokens import token_provider

            options["sasl_mechanism"] = "OAUTHBEARER"
            options["sasl_oauth_token_provider"] = token_provider(settings)
        case mechanism:
            options["sasl_mechanism"] = mechanism
            options["sasl_plain_username"] = settings.kafka_username
            options["sasl_plain_password"] = text_of_secret(settings.kafka_password)
    return options


def _files(settings: KafkaSettings) -> TlsFiles:
    return TlsFiles(
        "TRIPTYCH_KAFKA_TLS",
        settings.kafka_tls_ca_file,
        settings.kafka_tls_certificate_file,
        settings.kafka_tls_key_file,
        text_of_secret(settings.kafka_tls_key_password),
    )


@lru_cache(maxsize=8)
def _context(files: TlsFiles) -> ssl.SSLContext:
    """The context of all clients; reading the system's authorities takes some 20 ms."""
    return client_context(files)
