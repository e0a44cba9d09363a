"""Makes a MongoDB replica set of several members on this machine, and says what each member is."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from triptych.devstack.mongo import REPLICA_SET
from triptych.devstack.ports import LOOPBACK

ELECTION_MS = 4_000
"""How long the other members wait for a dead primary before they elect another; MongoDB's default is 10 s."""
ANSWER_MS = 400
_ALREADY_INITIALIZED = 23


class ReplicaSet:
    """The members of a set, in the order of their ports, each asked by a connection of its own."""

    def __init__(self, ports: Sequence[int], clients: Sequence[MongoClient[dict[str, Any]]]) -> None:
        self.hosts = [f"{LOOPBACK}:{port}" for port in ports]
        self._clients = clients

    @classmethod
    @contextmanager
    def of(cls, ports: Sequence[int]) -> Iterator["ReplicaSet"]:
        """The set of the members that listen on these ports of the loopback address; its connections are closed."""
        with ExitStack() as stack:
            clients = [
                stack.enter_context(
                    MongoClient[dict[str, Any]](
                        LOOPBACK,
                        port,
                        directConnection=True,
                        serverSelectionTimeoutMS=ANSWER_MS,
                        socketTimeoutMS=10_000,
                    )
                )
                for port in ports
            ]
            yield cls(ports, clients)

    def states(self) -> list[str | None]:
        """What each member is: `primary`, `secondary`, `other` (it starts or recovers), or None if it is not reached.

        A member that was the primary until it was cut off may still say so.
        """
        return [_state(client) for client in self._clients]

    def become_ready(self) -> bool:
        """Take one step to make the members a set. Returns whether it has a primary, and all others follow it."""
        states = self.states()
        if None in states:
            return False
        if "primary" not in states and "secondary" not in states:
            self._initiate()
        return sorted(str(state) for state in states) == ["primary", *["secondary"] * (len(states) - 1)]

    def _initiate(self) -> None:
        try:
            self._clients[0].admin.command("replSetInitiate", configuration(self.hosts))
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
        except PyMongoError:
            pass  # the next step tries again


def configuration(hosts: Sequence[str]) -> dict[str, Any]:
    """The configuration of a set whose members listen on these hosts. Each may become the primary."""
    return {
        "_id": REPLICA_SET,
        "members": [{"_id": number, "host": host} for number, host in enumerate(hosts)],
        "settings": {"electionTimeoutMillis": ELECTION_MS},
    }


def _state(client: MongoClient[dict[str, Any]]) -> str | None:
    try:
        hello = client.admin.command("hello")
    except PyMongoError:
        return None
    if hello["isWritablePrimary"]:
        return "primary"
    return "secondary" if hello.get("secondary") else "other"
