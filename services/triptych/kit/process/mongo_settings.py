"""The settings of the connection to MongoDB: its address, encryption, and how the services authenticate."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from triptych.kit.process.secrets import HoldsSecret
from triptych.kit.process.settings_base import SettingsBase


class MongoSettings(SettingsBase):
    """See `KitSettings`."""

    mongo_uri: Annotated[str, HoldsSecret()] = Field("mongodb://127.0.0.1:27017/?replicaSet=rs0", repr=False)
    """Address of the MongoDB replica set. Options that would weaken a promise are refused at start."""
    mongo_database: str = Field("triptych", pattern=r"^[A-Za-z0-9_-]{1,38}$")
    """The database of this installation."""
    mongo_driver: Literal["pymongo", "motor"] = "pymongo"
    """The MongoDB client library. `motor` needs the extra `triptych[motor]`."""
    mongo_username: str | None = None
    """The user, if the address has none."""
    mongo_password: SecretStr | None = None
    """The password of the user. It is taken as it is, without percent encoding."""
    mongo_tls_ca_file: Path | None = None
    """Certificates (PEM) of the authorities that sign the servers' certificates. Turns TLS on."""
    mongo_tls_certificate_file: Path | None = None
    """The client's certificate together with its key (PEM), for servers that ask for one. Turns TLS on."""
    mongo_tls_key_password: SecretStr | None = None
    """The password of the key of the client's certificate, if it is encrypted."""

    @field_validator("mongo_username", "mongo_tls_ca_file", "mongo_tls_certificate_file", mode="before")
    @classmethod
    def _mongo_unset(cls, value: object) -> object:
        return value or None  # compose files pass on unset variables as empty ones

    @model_validator(mode="after")
    def _check_mongo(self) -> Self:
        if bool(self.mongo_username) != bool(self.mongo_password):
            raise ValueError("TRIPTYCH_MONGO_USERNAME and TRIPTYCH_MONGO_PASSWORD are needed together.")
        if self.mongo_tls_key_password and self.mongo_tls_certificate_file is None:
            raise ValueError("TRIPTYCH_MONGO_TLS_KEY_PASSWORD is set, but TRIPTYCH_MONGO_TLS_CERTIFICATE_FILE is not.")
        return self
