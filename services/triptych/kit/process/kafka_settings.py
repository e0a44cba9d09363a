"""The settings of the connection to Kafka: addresses, encryption, and how the services authenticate."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from triptych.kit.process.settings_base import PREFIX, SettingsBase

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


class KafkaSettings(SettingsBase):
    """See `KitSettings`. A setting that the chosen protocol does not use is refused: it would seem to protect."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka's brokers, as host:port, separated by commas."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """`SSL` encrypts by TLS, `SASL_…` authenticates. `SASL_PLAINTEXT` authenticates without encryption."""
    kafka_tls_ca_file: Path | None = None
    """Certificates (PEM) of the authorities that sign the brokers' certificates; those of the system if unset."""
    kafka_tls_certificate_file: Path | None = None
    """The client's certificate (PEM, with its chain), for brokers that ask for one. Read again when it changes."""
    kafka_tls_key_file: Path | None = None
    """The key (PEM) of the client's certificate, if it is not in the file of the certificate."""
    kafka_tls_key_password: SecretStr | None = None
    """The password of the key, if it is encrypted."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """How the services authenticate if the protocol is `SASL_…`."""
    kafka_username: str | None = None
    """The user of `PLAIN` and `SCRAM-…`."""
    kafka_password: SecretStr | None = None
    """The password of `PLAIN` and `SCRAM-…`."""
    kafka_oauth_token_file: Path | None = None
    """A file with the token of `OAUTHBEARER`. It is read again for each connection."""
    kafka_oauth_token_url: str | None = None
    """Where tokens of `OAUTHBEARER` are requested instead (OIDC client credentials). https, or http to loopback."""
    kafka_oauth_client_id: str | None = None
    """The client id of a request for a token."""
    kafka_oauth_client_secret: SecretStr | None = None
    """The client secret of a request for a token."""
    kafka_oauth_scope: str | None = None
    """The scope of a request for a token, if it needs one."""
    kafka_oauth_ca_file: Path | None = None
    """Certificates (PEM) of the authorities that sign the certificate of the token URL; the system's if unset."""

    @field_validator("kafka_sasl_mechanism", "kafka_username", mode="before")
    @classmethod
    def _kafka_texts(cls, value: object) -> object:
        return value or None  # compose files pass on unset variables as empty ones

    @field_validator(
        "kafka_tls_ca_file",
        "kafka_tls_certificate_file",
        "kafka_tls_key_file",
        "kafka_oauth_token_file",
        "kafka_oauth_ca_file",
        mode="before",
    )
    @classmethod
    def _kafka_files(cls, value: object) -> object:
        return value or None  # the path of an empty text is the current folder

    @property
    def uses_kafka_tls(self) -> bool:
        """Whether connections to Kafka are encrypted."""
        return self.kafka_security_protocol in ("SSL", "SASL_SSL")

    @model_validator(mode="after")
    def _check_kafka(self) -> Self:
        problems = [*self._kafka_problems()]
        if problems:
            raise ValueError("\n  ".join(problems))
        return self

    def _kafka_problems(self) -> list[str]:
        used, required = self._kafka_used()
        given = {name for name in _OPTIONAL if getattr(self, name)}
        lacking = [name for name in _OPTIONAL if name in required - given]
        unused = [name for name in _OPTIONAL if name in given - used - required]
        mode = f"TRIPTYCH_KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}"
        if self.kafka_sasl_mechanism is not None and "kafka_sasl_mechanism" in required:
            mode = f"TRIPTYCH_KAFKA_SASL_MECHANISM={self.kafka_sasl_mechanism}"
        problems = [f"{_variable(name)} is required with {mode}." for name in lacking]
        problems += [f"{_variable(name)} is set, but {mode} does not use it." for name in unused]
        url = urlsplit(self.kafka_oauth_token_url or "https:")
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK_HOSTS):
            # RFC 6749, section 3.2: the secret of the client is in the request.
            problems.append("TRIPTYCH_KAFKA_OAUTH_TOKEN_URL must begin with https://.")
        return problems

    def _kafka_used(self) -> tuple[set[str], set[str]]:
        """The settings that the protocol and the mechanism may use, and those that they need."""
        used: set[str] = set()
        required: set[str] = set()
        if self.uses_kafka_tls:
            used |= {"kafka_tls_ca_file", "kafka_tls_certificate_file"}
            if self.kafka_tls_certificate_file is not None:
                used |= {"kafka_tls_key_file", "kafka_tls_key_password"}
        if self.kafka_security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
            required.add("kafka_sasl_mechanism")
            if self.kafka_sasl_mechanism != "OAUTHBEARER":
                required |= {"kafka_username", "kafka_password"} if self.kafka_sasl_mechanism else set()
            elif self.kafka_oauth_token_file is not None:
                used.add("kafka_oauth_token_file")
            else:
                required |= {"kafka_oauth_token_url", "kafka_oauth_client_id", "kafka_oauth_client_secret"}
                used |= {"kafka_oauth_scope", "kafka_oauth_ca_file"}
        return used, required


_OPTIONAL = [name for name in KafkaSettings.model_fields if name not in ("kafka_bootstrap", "kafka_security_protocol")]


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
