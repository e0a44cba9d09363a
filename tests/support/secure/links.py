"""The ways to connect to the secure servers, as settings; and their servers, shared by the tests of a file."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.installation import PARTITIONS
from tests.support.secure.certificates import Authority, Pair
from tests.support.secure.servers import KAFKA_PASSWORD, PASSWORD, USER, SecureKafka
from triptych.kit.process.settings import KitSettings

Fields = Mapping[str, object]


@dataclass(frozen=True)
class Links:
    """What the tests of secure links share.

    Attributes:
        folder: for files of one test run.
        authority: of all certificates of the servers.
        stranger: another authority, which no server knows.
        client: a certificate that the broker accepts.
        kafka: the broker.
        mongo: host and port of the MongoDB.
    """

    folder: Path
    authority: Authority
    stranger: Authority
    client: Pair
    kafka: SecureKafka
    mongo: str

    def tls(self, **other: object) -> Fields:
        """Settings for the listener that asks for a certificate."""
        return {
            "kafka_bootstrap": self.kafka.tls,
            "kafka_security_protocol": "SSL",
            "kafka_tls_ca_file": self.authority.file,
            "kafka_tls_certificate_file": self.client.certificate,
            "kafka_tls_key_file": self.client.key,
            **other,
        }

    def sasl(self, mechanism: str, **other: object) -> Fields:
        """Settings for the listener with passwords."""
        return {**self._sasl(mechanism), "kafka_username": USER, "kafka_password": KAFKA_PASSWORD, **other}

    def token_file(self, path: Path, **other: object) -> Fields:
        """Settings for the listener with tokens, from a file."""
        return {**self._sasl("OAUTHBEARER"), "kafka_oauth_token_file": path, **other}

    def token_url(self, url: str, **other: object) -> Fields:
        """Settings for the listener with tokens, from a token URL."""
        return {
            **self._sasl("OAUTHBEARER"),
            "kafka_oauth_token_url": url,
            "kafka_oauth_client_id": "panel",
            "kafka_oauth_client_secret": "secret",
            "kafka_oauth_ca_file": self.authority.file,
            **other,
        }

    def _sasl(self, mechanism: str) -> dict[str, object]:
        return {
            "kafka_bootstrap": self.kafka.sasl,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_tls_ca_file": self.authority.file,
            "kafka_sasl_mechanism": mechanism,
        }

    def database(self, **other: object) -> Fields:
        """Settings for the MongoDB."""
        return {
            "mongo_uri": f"mongodb://{self.mongo}/?replicaSet=rs0&serverSelectionTimeoutMS=1500",
            "mongo_username": USER,
            "mongo_password": PASSWORD,
            "mongo_tls_ca_file": self.authority.file,
            **other,
        }


def settings_of(fields: Fields) -> KitSettings:
    """Settings with names that no other test uses."""
    name = f"t{uuid.uuid4().hex[:10]}"
    own = {"topic_prefix": f"{name}.", "topic_partitions": PARTITIONS, "mongo_database": name}
    return KitSettings.model_validate({**own, **fields})
