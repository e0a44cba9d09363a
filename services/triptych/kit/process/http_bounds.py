"""Bounds of what clients may make a server hold before anybody knows who they are, and the count of connections."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Refusal = Callable[[int, str], bytes]
"""The body, in JSON, of an answer that the server itself gives: its status and what it means."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes in bytes, times in seconds.

    Attributes:
        head_bytes: of a request line with its header fields, and of the trailer fields behind a body.
        head_fields: how many header fields.
        head_seconds: from the connection, or from the first byte of a later request, to the end of the head.
        body_seconds: from the end of the head to the end of the body.
        idle_seconds: between two requests.
        write_seconds: for a client to take the next part of an answer.
        connections: in all.
        connections_per_address: from one address.
    """

    head_bytes: int
    head_fields: int
    head_seconds: float
    body_seconds: float
    idle_seconds: float
    write_seconds: float
    connections: int
    connections_per_address: int


class Connection(Protocol):
    """What `Connections` needs to know of one."""

    address: str

    def give_way(self) -> None:
        """Close, since another connection needs the place; no request is under way."""


class Connections:
    """The open connections. When there is no place, the one that has asked for nothing for the longest time goes.

    So whoever opens connections and says nothing on them keeps nobody out, and needs no deadline to be stopped.
    """

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all = in_all
        self._per_address = per_address
        self._count = 0
        self._counts: dict[str, int] = {}
        # Those without a request under way, by address too, the longest waiting first.
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._idle_by_address: dict[str, OrderedDict[Connection, None]] = {}

    def __len__(self) -> int:
        return self._count

    def admit(self, connection: Connection) -> bool:
        """Whether there is a place for a new connection, which then counts as idle."""
        address = connection.address
        self._make_place(self._counts.get(address, 0) >= self._per_address, self._idle_by_address.get(address))
        self._make_place(self._count >= self._in_all, self._idle)
        if self._counts.get(address, 0) >= self._per_address or self._count >= self._in_all:
            return False
        self._count += 1
        self._counts[address] = self._counts.get(address, 0) + 1
        self.mark_idle(connection)
        return True

    def mark_idle(self, connection: Connection) -> None:
        """No request is under way on it from now on."""
        self._idle[connection] = None
        self._idle_by_address.setdefault(connection.address, OrderedDict())[connection] = None

    def mark_busy(self, connection: Connection) -> None:
        """A request is under way on it from now on."""
        if connection in self._idle:
            del self._idle[connection]
            idle = self._idle_by_address[connection.address]
            del idle[connection]
            if not idle:
                del self._idle_by_address[connection.address]

    def remove(self, connection: Connection) -> None:
        """An admitted connection is closed."""
        self.mark_busy(connection)
        self._count -= 1
        self._counts[connection.address] -= 1
        if not self._counts[connection.address]:
            del self._counts[connection.address]

    def _make_place(self, is_full: bool, idle: OrderedDict[Connection, None] | None) -> None:
        if is_full and idle:
            oldest = next(iter(idle))
            self.remove(oldest)
            oldest.give_way()


def plain_refusal(_status: int, text: str) -> bytes:
    """The refusal of a server that has no better form."""
    return b'{"message":"%b"}' % text.encode()
