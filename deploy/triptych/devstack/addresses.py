"""The description of a local stack for its user: who provides the servers, and where they listen."""

from dataclasses import dataclass
from enum import StrEnum


class Provider(StrEnum):
    """Where the servers come from. The values are those of `TRIPTYCH_STACK`."""

    EXTERNAL = "external"
    CONTAINERS = "containers"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen: host:port, a MongoDB URI, and a value of Provider."""

    kafka_bootstrap: str
    mongo_uri: str
    provider: str
