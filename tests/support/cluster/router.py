"""Stands in for `mongos`: hands each command to the router code of a shard, or to the shards that it concerns."""

import asyncio
import sys
from collections.abc import Mapping, Sequence

from bson import Timestamp

from tests.support.cluster.keys import HIGHEST, LOWEST, Placement
from tests.support.cluster.transactions import SHARD_KEY_NOT_FOUND, Transactions
from tests.support.cluster.wire import Document, Link, Message, read, written
from triptych.devstack.ports import LOOPBACK

CONFIG = "config"
_MAJORITY = ("writeConcern", {"w": "majority"})
_BY_A_SHARD = {
    **{name: f"cluster{name[0].upper()}{name[1:]}" for name in ("find", "insert", "update", "delete", "aggregate")},
    "getMore": "clusterGetMore",
}
# What a member of a replica set says of itself, and this router does not. A version of the topology would promise that
# the next answer waits for a change; this router answers at once, so clients would ask in a loop.
_OF_A_MEMBER = (
    *("setName", "setVersion", "hosts", "primary", "me", "electionId", "secondary", "lastWrite"),
    "topologyVersion",
)
_ALREADY_INITIALIZED = 23


class Router:
    """What all connections share: where documents are, the transactions, and the cluster time.

    Attributes:
        ports: those of the config server and of the shards, by name; the first shard is the primary of all databases.
        latest: the latest cluster time that any client or server has named.
    """

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.shards = [name for name in ports if name != CONFIG]
        self.transactions = Transactions(self.shards[0])
        self.placements: dict[str, Placement] = {}
        self.databases: set[str] = {"admin", "config", "local"}
        self.latest: Document = {"clusterTime": Timestamp(0, 0)}

    def learn(self, message: Mapping[str, object]) -> None:
        """Take over a later cluster time from a command or an answer."""
        gossip = message.get("$clusterTime")
        if isinstance(gossip, dict) and gossip["clusterTime"] > self.latest["clusterTime"]:
            self.latest = gossip

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it leaves."""
        connection = Connection(self)
        try:
            while True:
                message = await read(reader)
                writer.write(written(await connection.answer(message), answer_to=message))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            connection.close()
            writer.close()


class Connection:
    """One client, with connections of its own to the servers."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._links: dict[str, Link] = {}

    def close(self) -> None:
        """End the connections to the servers."""
        for link in self._links.values():
            link.close()

    async def answer(self, message: Message) -> Document:
        """Carry out one command."""
        body = message.body
        self._router.learn(body)
        name, database = next(iter(body)), str(body["$db"])
        await self._ensure(str(body[name]) if name == "enableSharding" else database)
        if "autocommit" in body:
            placement = await self._placement(f"{database}.{body[name]}")
            return await self._router.transactions.run(message, placement, self._send)
        match name:
            case "hello" | "isMaster" | "ismaster":
                found = await self._send(self._primary, {name: 1, "$db": "admin"})
                return {"msg": "isdbgrid", **{key: found[key] for key in found if key not in _OF_A_MEMBER}}
            case "enableSharding" | "killCursors":
                return {"ok": 1.0}
            case "shardCollection":
                return await self._divide(str(body[name]), body["key"])
            case "findAndModify":
                return await self._find_and_modify(body)
            case "drop" | "dropDatabase":
                return await self._drop(name, body)
            case "killSessions" | "createIndexes" | "dropIndexes" | "collMod":
                return await self._on_all(body)
        concern = body.get("readConcern", {})
        if concern.get("level") == "snapshot" and "atClusterTime" not in concern:
            # As a router does: at the latest moment that it knows from any client. A shard would take its own last
            # moment instead, and a client that has read nothing lately knows an early one.
            latest = self._router.latest
            moment = {**concern, "atClusterTime": latest["clusterTime"]}
            body = {**body, "readConcern": moment, "$clusterTime": latest}
        if name in _BY_A_SHARD:
            # A shard's router code has no retryable writes.
            others = ((key, value) for key, value in body.items() if key not in (name, "txnNumber"))
            body = dict([(_BY_A_SHARD[name], body[name]), *others])
        return await self._send(self._primary, body, message.sequences)

    @property
    def _primary(self) -> str:
        return self._router.shards[0]

    async def _send(self, server: str, body: Document, sequences: bytes = b"") -> Document:
        if server not in self._links:
            self._links[server] = await Link.to(self._router.ports[server])
        answer = await self._links[server].run(body, sequences)
        self._router.learn(answer)
        return answer

    async def _configured(self, collection: str, query: dict[str, object]) -> list[Document]:
        command = {"find": collection, "filter": query, "batchSize": 1_000, "$db": "config"}
        return list((await self._send(CONFIG, command))["cursor"]["firstBatch"])

    async def _ensure(self, database: str) -> None:
        """Make the first shard the primary of a database."""
        if database not in self._router.databases:
            place = [("primaryShardId", self._primary), ("enableSharding", True), _MAJORITY, ("$db", "admin")]
            await self._send(CONFIG, dict([("_configsvrCreateDatabase", database), *place]))
            self._router.databases.add(database)

    async def _placement(self, name: str) -> Placement | None:
        known = self._router.placements.get(name)
        if known is None and (entries := await self._configured("collections", {"_id": name})):
            (field,) = entries[0]["key"]
            known = Placement(
                field,
                [
                    (_number(chunk["min"][field], LOWEST), _number(chunk["max"][field], HIGHEST), chunk["shard"])
                    for chunk in await self._configured("chunks", {"uuid": entries[0]["uuid"]})
                ],
            )
            self._router.placements[name] = known  # no balancer moves so few documents
        return known

    async def _divide(self, name: str, key: Document) -> Document:
        database, _, collection = name.partition(".")
        await self._ensure(database)
        entries = await self._configured("collections", {"_id": name})
        if entries and entries[0]["key"] != key:
            return {"ok": 0.0, "errmsg": f"{name} is sharded by {entries[0]['key']}", "code": _ALREADY_INITIALIZED}
        if entries:
            return {"ok": 1.0}
        (entry,) = await self._configured("databases", {"_id": database})
        options = [("shardKey", key), ("databaseVersion", entry["version"]), _MAJORITY, ("$db", database)]
        return await self._send(self._primary, dict([("_shardsvrCreateCollection", collection), *options]))

    async def _drop(self, name: str, body: Document) -> Document:
        database = body["$db"]
        found = await self._configured("databases", {"_id": database})
        is_divided = name == "drop" and await self._placement(f"{database}.{body[name]}") is not None
        if not found or (name == "drop" and not is_divided):
            return await self._send(self._primary, body)
        gone = f"{database}.{body[name]}" if name == "drop" else f"{database}."
        for other in [other for other in self._router.placements if other.startswith(gone)]:
            del self._router.placements[other]
        command = ("_shardsvrDropCollection", body[name]) if name == "drop" else ("_shardsvrDropDatabase", 1)
        if name == "dropDatabase":
            self._router.databases.discard(database)
        options = [("databaseVersion", found[0]["version"]), _MAJORITY, ("$db", database)]
        return await self._send(self._primary, dict([command, *options]))

    async def _on_all(self, body: Document) -> Document:
        """Send a command to each shard that has the collection."""
        name = next(iter(body))
        is_divided = name == "killSessions" or await self._placement(f"{body['$db']}.{body[name]}") is not None
        answer: Document = {}
        for shard in self._router.shards if is_divided else [self._primary]:
            answer = await self._send(shard, body)
            if not answer["ok"]:
                break
        return answer

    async def _find_and_modify(self, body: Document) -> Document:
        """A shard's router code does not have this command."""
        body = {key: value for key, value in body.items() if key != "txnNumber"}
        placement = await self._placement(f"{body['$db']}.{body['findAndModify']}")
        if placement is None:
            return await self._send(self._primary, body)
        if placement.field not in body["query"]:
            text = "Query for sharded findAndModify must contain the shard key"
            return {"ok": 0.0, "errmsg": text, "code": SHARD_KEY_NOT_FOUND, "codeName": "ShardKeyNotFound"}
        return await self._send(placement.shard_of(body["query"][placement.field]), body)


def _number(bound: object, otherwise: int) -> int:
    return bound if isinstance(bound, int) else otherwise


async def run(port: int, ports: dict[str, int]) -> None:
    """Serve clients on `port`, until cancelled."""
    server = await asyncio.start_server(Router(ports).serve, LOOPBACK, port)
    async with server:
        await server.serve_forever()


def main(args: Sequence[str]) -> None:
    """Run a router: its port, and `name=port` for the config server and each shard."""
    named = (arg.partition("=") for arg in args[1:])
    asyncio.run(run(int(args[0]), {name: int(port) for name, _, port in named}))


if __name__ == "__main__":
    main(sys.argv[1:])
