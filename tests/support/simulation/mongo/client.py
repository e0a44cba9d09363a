"""The driver's client and databases, as far as the simulated services use them."""

from typing import Any

from tests.support.simulation.mongo.collection import Collection
from tests.support.simulation.mongo.matching import Document
from tests.support.simulation.mongo.server import Server
from tests.support.simulation.mongo.session import Session


class Client:
    """A client of one process."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.admin = Admin(self)
        self._idle_sessions: list[bytes] = []
        self._numbers: dict[bytes, int] = {}

    def database(self, name: str = "simulation") -> "Database":
        """A database; all of them have the same collections."""
        return Database(self, name)

    def __getitem__(self, name: str) -> "Database":
        return self.database(name)

    def start_session(self, *, snapshot: bool = False, **_: Any) -> "Session":
        """A session: the last one that was ended, as the driver's pool gives it, or a new one."""
        if self._idle_sessions:
            return Session(self, self._idle_sessions.pop(), snapshot=snapshot)
        return Session(self, self.server.chance.randbytes(16), snapshot=snapshot)

    def next_number(self, session_id: bytes) -> int:
        """The number of the session's next transaction."""
        self._numbers[session_id] = self._numbers.get(session_id, 0) + 1
        return self._numbers[session_id]

    def return_session(self, session_id: bytes) -> None:
        """Keep a session for the next caller."""
        self._idle_sessions.append(session_id)


class Admin:
    """The database `admin`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def command(self, name: str, argument: Any = None, *, session: "Session | None" = None) -> Document:
        """Carry out a command."""
        server = self._client.server
        match name:
            case "killSessions":
                ids = [one["id"] for one in argument]

                def kill() -> None:
                    for session_id in ids:
                        server.undo(session_id)

                await server.call(kill)
            case "abortTransaction":
                assert session is not None
                await session.abort_on_server()
            case _:
                raise NotImplementedError(name)
        return {"ok": 1.0}


class Database:
    """A database of one client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def __getitem__(self, name: str) -> "Collection":
        return Collection(self, name)

    async def list_collection_names(self) -> list[str]:
        """The names of the collections that exist."""
        return await self.client.server.call(lambda: list(self.client.server.storage.tables))

    async def create_collection(self, name: str, **_: Any) -> None:
        """Create a collection, unless it exists."""
        await self.client.server.call(lambda: self.client.server.storage.table(name))

    async def drop_collection(self, name: str) -> None:
        """Delete a collection: here, all its documents."""
        await self[name].drop()

    async def command(self, *_: Any, **__: Any) -> Document:
        """Commands that change options of collections have no effect here."""
        return {"ok": 1.0}
