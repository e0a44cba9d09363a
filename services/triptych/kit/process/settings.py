"""The settings that all processes share, read from the environment and checked together at start."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal, TypeVar
from urllib.parse import unquote

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from triptych.kit.failures import StartRefused
from triptych.kit.process.http_bounds import Bounds
from triptych.kit.process.kafka_settings import KafkaSettings
from triptych.kit.process.mongo_settings import MongoSettings
from triptych.kit.process.secrets import read_secret_files
from triptych.kit.process.settings_base import PREFIX as PREFIX

_PASSWORD = re.compile(r"://[^\s/?#@]*:([^\s/?#@]+)@")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class KitSettings(MongoSettings, KafkaSettings):
    """Addresses of Kafka and MongoDB, logging, and the HTTP server. Services add their own fields.

    Each field is read from `TRIPTYCH_<FIELD>`, a secret also from the file that `TRIPTYCH_<FIELD>_FILE` names.
    Durations are seconds or ISO 8601 (`P30D`).
    """

    topic_prefix: str = Field("triptych.", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """The prefix of the names of all topics and consumer groups of this installation."""
    topic_partitions: int = Field(12, ge=1, le=10_000)
    """Partitions of each topic when it is created. A service is not ready if one has another number. After
    `.venv/bin/triptych partitions grow`, the number that is stored in MongoDB counts instead."""
    topic_replication: int = Field(1, ge=1)
    """Replicas of each topic, used when a topic is created."""
    reply_topics: int = Field(8, ge=1, le=1_000)
    """Topics for replies to single gateways, of one partition each. Gateways beyond this number share topics."""
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "gzip"
    """Compression of published records. Every consumer must be able to read it (why gzip: decision 5)."""
    events_retention: timedelta = Field(timedelta(days=30), gt=timedelta(0))
    """How long the events topic keeps its records, used when that topic is created."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Messages below this level are not logged."""
    log_format: Literal["json", "text"] | None = None
    """`json`, one object a line, or `text` for people. If unset, `text` on a terminal and `json` elsewhere."""
    build_commit: str = Field("", pattern=r"^[0-9A-Za-z._-]{0,64}$")
    """The commit that this build was made from, for `triptych_build_info`. An image sets it."""

    host: str = "127.0.0.1"
    """The address on which the HTTP server listens. Health and metrics are served without authentication."""

    http_head_limit: int = Field(64 * 1024, ge=1_024)
    """Bytes of a request line with its header fields; 431 beyond. A deletion with the most ids allowed, 1,000, fits."""
    http_head_fields: int = Field(100, ge=1)
    """Header fields of one request; 431 beyond."""
    http_head_timeout: timedelta = Field(timedelta(seconds=10), gt=timedelta(0))
    """Time from the connection, or from the first byte of a later request, to the end of the head; 408 beyond."""
    http_body_timeout: timedelta = Field(timedelta(seconds=60), gt=timedelta(0))
    """Time from the end of the head to the end of the body; 408 beyond."""
    http_idle_timeout: timedelta = Field(timedelta(seconds=60), gt=timedelta(0))
    """Time between two requests on one connection; beyond it, the connection is closed."""
    http_write_timeout: timedelta = Field(timedelta(seconds=30), gt=timedelta(0))
    """Time for a client to take the next 64 KiB of a response; beyond it, the connection is aborted."""
    http_connections: int = Field(4_000, ge=1)
    """Open connections of one HTTP server; beyond it, a new connection closes the one that has been idle longest."""
    http_connections_per_address: int = Field(2_000, ge=1)
    """Open connections from one address. Behind a proxy, all connections have its address."""

    def http_bounds(self) -> Bounds:
        """The bounds of the HTTP server."""
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

    def secret_values(self) -> Iterator[str]:
        """The secrets among the settings: they must not be logged."""
        for _, value in self:
            if isinstance(value, SecretStr):
                yield from (part.strip() for part in value.get_secret_value().split(","))
            elif isinstance(value, str):
                for password in _PASSWORD.findall(value):
                    yield password
                    yield unquote(password)

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        if field.annotation is timedelta and isinstance(value, str) and _NUMBER.fullmatch(value):
            return float(value)
        return value


class IdempotencySettings(KitSettings):
    """See `KitSettings`. For processes that carry commands out, or send them again."""

    processed_retention: timedelta = Field(timedelta(days=7), gt=timedelta(0))
    """How long a repeated command is recognised by its site, source and id."""


class ConsumerSettings(KitSettings):
    """See `KitSettings`. For processes that are members of a consumer group."""

    instance_id: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,249}$")
    """A name that a process keeps when it is started again, and that no other process of its service has at the same
    time, such as the name of a pod of a StatefulSet; the host's name if unset. See decision 38."""
    group_session_timeout: timedelta = Field(timedelta(seconds=6), ge=timedelta(seconds=1), le=timedelta(seconds=30))
    """After this time without a sign of life, Kafka gives the partitions of a process to others. Brokers permit 6 s or
    more unless their `group.min.session.timeout.ms` is lower."""
    group_rebalance_timeout: timedelta = Field(timedelta(seconds=9), ge=timedelta(seconds=2))
    """How long Kafka waits for a process when partitions are divided anew. The batch in progress has half of this
    time to end."""


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load_settings(kind: type[SettingsT], given: Mapping[str, object] | None = None) -> SettingsT:
    """Read settings of class `kind` from the environment; values `given` by field name override it.

    Raises:
        StartRefused: names every variable that is wrong, never its value, which may be a secret.
    """
    secrets, lines = read_secret_files(kind, PREFIX)
    has_all_secrets = not lines
    try:
        settings = kind(**{**secrets, **(given or {})})  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            if not (problem["loc"] or has_all_secrets):
                continue  # a check of several settings would also miss the secret that could not be read
            name = "_".join(map(str, problem["loc"])).upper()
            # A check of several settings names them in its own words.
            lines.append(f"{PREFIX}{name}: {problem['msg']}" if name else problem["msg"].removeprefix("Value error, "))
    if lines:
        raise StartRefused("These settings cannot be used:\n  " + "\n  ".join(lines))
    return settings
