"""Defines the state of a local cluster, and says it in one line (pure)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The state of a cluster at one moment. What could not be asked is None.

    Attributes:
        nodes: how many Kafka nodes there are.
        nodes_up: how many of them serve clients.
        short_partitions: partitions that lack an in-sync replica.
        members: what each member of the replica set is, by name; None for one that does not answer.
        services: of each service, how many processes are ready, and how many there are.
        lag: records that the consumer groups have not handled.
        outbox: committed rows of events that are not marked as published.
    """

    nodes: int
    nodes_up: int | None
    short_partitions: int | None
    members: Mapping[str, str | None]
    services: Mapping[str, tuple[int, int]]
    lag: int | None
    outbox: int | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing: every part serves, and every replica is in sync."""
        return (
            self.nodes_up == self.nodes
            and self.short_partitions == 0
            and sorted(map(str, self.members.values())) == ["primary", *["secondary"] * (len(self.members) - 1)]
            and all(ready == count for ready, count in self.services.values())
        )


def line(state: ClusterState) -> str:
    """The state in one line: `kafka 3/3 | mongo 3/3, primary mongo-1 | command 2/2 | … | lag 0 | outbox 0`."""
    return " | ".join(_parts(state))


def _parts(state: ClusterState) -> Iterator[str]:
    short = f", {state.short_partitions} partitions lack a replica" if state.short_partitions else ""
    yield f"kafka {_shown(state.nodes_up)}/{state.nodes}{short}"
    serving = [name for name, role in state.members.items() if role in ("primary", "secondary")]
    primaries = [name for name, role in state.members.items() if role == "primary"]
    primary = f"primary {' and '.join(primaries)}" if primaries else "no primary"
    yield f"mongo {len(serving)}/{len(state.members)}, {primary}"
    for name, (ready, count) in state.services.items():
        yield f"{name} {ready}/{count}"
    yield f"lag {_shown(state.lag)}"
    yield f"outbox {_shown(state.outbox)}"


def _shown(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
