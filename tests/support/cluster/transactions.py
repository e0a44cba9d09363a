"""Divides the statements of transactions among the shards, and lets MongoDB's coordinator commit them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.cluster.keys import Placement
from tests.support.cluster.wire import Document, Message

STATEMENTS = {"insert": "documents", "update": "updates", "delete": "deletes"}
SHARD_KEY_NOT_FOUND = 61
_SESSION = ("lsid", "txnNumber", "autocommit")


@dataclass(slots=True)
class Transaction:
    """A transaction that a client has begun: its number in its session, and the shards that it has reached so far."""

    number: int
    read_concern: Mapping[str, Any] | None
    shards: list[str] = field(default_factory=list)


class Transactions:
    """The latest transaction of each session."""

    def __init__(self, primary: str) -> None:
        """`primary` is the shard of the collections that are not divided."""
        self._primary = primary
        self._by_session: dict[bytes, Transaction] = {}

    async def run(
        self, message: Message, placement: Placement | None, send: Callable[[str, Document], Awaitable[Document]]
    ) -> Document:
        """Carry out one command of a transaction; `placement` is that of its collection, and `send` asks one shard."""
        body = message.body
        session = bytes(body["lsid"]["id"])
        known = self._by_session.get(session)
        if known is None or known.number != body["txnNumber"]:
            known = self._by_session[session] = Transaction(body["txnNumber"], body.get("readConcern"))
        name = next(iter(body))
        of_session = [(field, body[field]) for field in _SESSION]
        if name == "abortTransaction":
            for shard in known.shards:
                await send(shard, dict([(name, 1), *of_session, ("$db", "admin")]))
            return {"ok": 1.0}
        if name == "commitTransaction":
            return await self._commit(known, [*of_session, ("writeConcern", body["writeConcern"])], send)
        return await self._write(known, message, placement, of_session, send)

    async def _commit(
        self,
        known: Transaction,
        options: list[tuple[str, Any]],
        send: Callable[[str, Document], Awaitable[Document]],
    ) -> Document:
        if not known.shards:
            return {"ok": 1.0}
        name, participants = "commitTransaction", {}
        if len(known.shards) > 1:
            name = "coordinateCommitTransaction"
            participants = {"participants": [{"shardId": shard} for shard in known.shards]}
        command = dict([(name, 1), *participants.items(), *options, ("$db", "admin")])
        return await send(known.shards[0], command)

    async def _write(
        self,
        known: Transaction,
        message: Message,
        placement: Placement | None,
        of_session: list[tuple[str, Any]],
        send: Callable[[str, Document], Awaitable[Document]],
    ) -> Document:
        body, name = message.body, next(iter(message.body))
        by_shard: dict[str, list[tuple[int, Document]]] = {}
        for index, statement in enumerate(message.documents(STATEMENTS[name])):
            shards = self._shards_of(name, statement, placement)
            if statement.get("upsert") and len(shards) > 1:
                text = "An upsert on a sharded collection must contain the shard key"
                return {"ok": 0.0, "errmsg": text, "code": SHARD_KEY_NOT_FOUND, "codeName": "ShardKeyNotFound"}
            for shard in shards:
                by_shard.setdefault(shard, []).append((index, statement))
        indexes, commands = [], []
        for shard, numbered in by_shard.items():
            command = {name: body[name], STATEMENTS[name]: [statement for _, statement in numbered]}
            command.update([("ordered", body.get("ordered", True)), *of_session, *_beginning(known, shard)])
            commands.append((shard, dict([*command.items(), ("$db", body["$db"])])))
            indexes.append([index for index, _ in numbered])
        answers = await asyncio.gather(*(send(shard, command) for shard, command in commands))
        failed = next((answer for answer in answers if not answer["ok"]), None)
        return failed if failed is not None else _combined(list(zip(answers, indexes, strict=True)))

    def _shards_of(self, name: str, statement: Document, placement: Placement | None) -> set[str]:
        if placement is None:
            return {self._primary}
        if name == "insert":
            return {placement.shard_of(statement[placement.field])}
        return placement.shards_of(statement["q"])


def _beginning(known: Transaction, shard: str) -> list[tuple[str, Any]]:
    """The options of the first command that a shard gets in a transaction; none later."""
    if shard in known.shards:
        return []
    known.shards.append(shard)
    options: list[tuple[str, Any]] = [("startTransaction", True)]
    if known.read_concern is not None:
        options.append(("readConcern", {"level": known.read_concern["level"]}))
    return options if len(known.shards) > 1 else [*options, ("coordinator", True)]


def _combined(answers: list[tuple[Document, list[int]]]) -> Document:
    """One answer out of those of several shards, each with the indexes of its statements."""
    combined: Document = {"n": 0, "ok": 1.0}
    errors: list[Document] = []
    for answer, indexes in answers:
        combined["n"] += answer.get("n", 0)
        if "nModified" in answer:
            combined["nModified"] = combined.get("nModified", 0) + answer["nModified"]
        for inserted in answer.get("upserted", ()):
            combined.setdefault("upserted", []).append({**inserted, "index": indexes[inserted["index"]]})
        errors += [{**error, "index": indexes[error["index"]]} for error in answer.get("writeErrors", ())]
        combined.update({name: answer[name] for name in ("operationTime", "$clusterTime")})
    if errors:
        combined["writeErrors"] = errors
    return combined
