"""Settings every process shares, read from the environment and checked as a whole at start."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from triptych.kit.failures import StartRefused
from triptych.kit.process.http_bounds import Bounds

PREFIX = "TRIPTYCH_"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class KitSettings(BaseSettings):
    """Where Kafka and MongoDB are and how this process reports; services add their own fields.

    Each field is read from `TRIPTYCH_<FIELD>`; durations accept seconds or ISO 8601 (`P30D`).
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, use_attribute_docstrings=True)

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka's brokers, as host:port, separated by commas."""
    mongo_uri: str = "mongodb://127.0.0.1:27017/?replicaSet=rs0"
    """Address of the MongoDB replica set. Options that would weaken a promise are refused at start."""
    mongo_database: str = Field("triptych", pattern=r"^[A-Za-z0-9_-]{1,38}$")
    """The database of this installation."""
    mongo_driver: Literal["pymongo", "motor"] = "pymongo"
    """The library that speaks to MongoDB. `motor` needs the extra `triptych[motor]`."""

    topic_prefix: str = Field("triptych.", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """What the names of all topics and consumer groups of this installation begin with."""
    topic_partitions: int = Field(12, ge=1, le=10_000)
    """Partitions of each topic. They are created with this number, and a service is not ready if one has another."""
    topic_replication: int = Field(1, ge=1)
    """Replicas of each topic, used when a topic is created."""
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "gzip"
    """Of the records that are published. Every consumer must be able to read it (why gzip: decision 5)."""
    events_retention: timedelta = Field(timedelta(days=30), gt=timedelta(0))
    """How long the events topic keeps its records, used when the topic is created."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Messages below this level are not logged."""
    log_format: Literal["text", "json"] = "text"
    """`text` for people, `json` (one object a line) for collectors."""

    host: str = "127.0.0.1"
    """The address on which the HTTP server listens. The servers of health and metrics have no authentication."""

    http_head_limit: int = Field(64 * 1024, ge=1_024)
    """Bytes of a request line with its header fields; 431 beyond. The 1,000 ids that a deletion may name fit."""
    http_head_fields: int = Field(100, ge=1)
    """Header fields of one request; 431 beyond."""
    http_head_timeout: timedelta = Field(timedelta(seconds=10), gt=timedelta(0))
    """From the connection, or the first byte of a later request, to the end of the head; 408 beyond."""
    http_body_timeout: timedelta = Field(timedelta(seconds=60), gt=timedelta(0))
    """From the end of the head to the end of the body; 408 beyond."""
    http_idle_timeout: timedelta = Field(timedelta(seconds=60), gt=timedelta(0))
    """Between two requests on one connection; the connection is closed beyond."""
    http_write_timeout: timedelta = Field(timedelta(seconds=30), gt=timedelta(0))
    """For a client to take the next 64 KiB of an answer; the connection is broken beyond."""
    http_connections: int = Field(4_000, ge=1)
    """Open connections of one HTTP server. The one that is idle for the longest time makes room."""
    http_connections_per_address: int = Field(2_000, ge=1)
    """Open connections from one address. Behind a proxy, all connections have its address."""

    def http_bounds(self) -> Bounds:
        """What the HTTP server takes from its clients."""
        return Bounds(
            head_bytes=self.http_head_limit,
            head_fields=self.http_head_fields,
            head_seconds=self.http_head_timeout.total_seconds(),
            body_seconds=self.http_body_timeout.total_seconds(),
            idle_seconds=self.http_idle_timeout.total_seconds(),
            write_seconds=self.http_write_timeout.total_seconds(),
            connections=self.http_connections,
            connections_per_address=self.http_connections_per_address,
        )

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        if field.annotation is timedelta and isinstance(value, str) and _NUMBER.fullmatch(value):
            return float(value)
        return value


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load_settings(kind: type[SettingsT], given: Mapping[str, object] | None = None) -> SettingsT:
    """Read `kind` from the environment; values `given` by name count more.

    Raises:
        StartRefused: naming every variable that is wrong, and never its value, which may be a secret.
    """
    try:
        return kind(**(given or {}))  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        lines = [
            f"  {PREFIX}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise StartRefused("These settings cannot be used:\n" + "\n".join(lines)) from None
