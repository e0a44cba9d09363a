"""Transactions and snapshot sessions: what they see, what they refuse, and what ends them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pymongo import IndexModel

from tests.support.simulation.scenarios.base import everything, outcome, scenario
from triptych.kit.mongo.driver import begin_transaction, open_session, snapshot_session
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.transactions import end_sessions, transaction


@scenario
async def a_transaction_sees_one_moment_and_its_own_writes(database: Any, other: Any) -> Any:
    await database["c"].insert_many([{"_id": "a", "n": 1}, {"_id": "b", "n": 1}])
    seen = []
    async with transaction(database) as session:
        seen.append(await everything(database["c"], session=session))
        await other["c"].update_one({"_id": "b"}, {"$set": {"n": 2}})
        await other["c"].insert_one({"_id": "late"})
        await database["c"].update_one({"_id": "a"}, {"$inc": {"n": 1}}, session=session)
        await database["c"].insert_one({"_id": "mine"}, session=session)
        seen += [await everything(database["c"], session=session), await everything(other["c"])]
        seen.append(await database["c"].count_documents({}, session=session))
    return seen, await everything(other["c"])


@scenario
async def a_transaction_that_raises_leaves_nothing(database: Any, other: Any) -> Any:
    async def fail() -> None:
        async with transaction(database) as session:
            await database["c"].insert_one({"_id": "a"}, session=session)
            raise KeyError

    return await outcome(fail()), await everything(other["c"])


@scenario
async def conflicting_writes_fail_at_once(database: Any, other: Any) -> Any:
    await database["c"].create_indexes([IndexModel([("u", 1)], unique=True)])
    await database["c"].insert_many([{"_id": name, "u": name} for name in "abc"])
    found = []

    async def write(name: str, change: Callable[[Any, Any], Awaitable[Any]], *, first: bool) -> None:
        """Let two transactions write, the second one before or after the first one is committed."""
        async with await open_session(database) as one, await open_session(other) as two:
            await begin_transaction(one)
            await begin_transaction(two)
            await everything(database["c"], session=one)
            await everything(other["c"], session=two)
            await change(database["c"], one)
            if first:
                await one.commit_transaction()
            found.append((name, first, await outcome(change(other["c"], two)), await outcome(two.commit_transaction())))
            if not first:
                await one.commit_transaction()

    def update(collection: Any, session: Any) -> Awaitable[Any]:
        return collection.update_one({"_id": "a"}, {"$inc": {"n": 1}}, session=session)  # type: ignore[no-any-return]

    def delete(collection: Any, session: Any) -> Awaitable[Any]:
        return collection.delete_one({"_id": "b"}, session=session)  # type: ignore[no-any-return]

    def insert(collection: Any, session: Any) -> Awaitable[Any]:
        return collection.insert_one({"_id": "new", "u": "new"}, session=session)  # type: ignore[no-any-return]

    def take(collection: Any, session: Any) -> Awaitable[Any]:
        document = {"_id": "new" if collection.database is database else "newer", "u": "taken"}
        return collection.insert_one(document, session=session)  # type: ignore[no-any-return]

    for first in (True, False):
        await write("update", update, first=first)
        await write("delete", delete, first=first)
        await database["c"].update_one({"_id": "b"}, {"$set": {"u": "b"}}, upsert=True)
        await write("insert", insert, first=first)
        await database["c"].delete_one({"_id": "new"})
        await write("take", take, first=first)
        await database["c"].delete_one({"_id": "new"})
    return found, await everything(database["c"])


@scenario
async def a_refused_write_ends_its_transaction(database: Any, other: Any) -> Any:
    await database["c"].insert_one({"_id": "a"})
    async with await open_session(database) as session:
        await begin_transaction(session)
        outcomes = [
            await outcome(database["c"].insert_many([{"_id": "b"}, {"_id": "a"}], ordered=False, session=session)),
            await outcome(database["c"].insert_one({"_id": "c"}, session=session)),
            await outcome(session.commit_transaction()),
        ]
    return outcomes, await everything(other["c"])


@scenario
async def a_commit_may_be_repeated(database: Any, other: Any) -> Any:
    async with await open_session(database) as session:
        await begin_transaction(session)
        await database["c"].insert_one({"_id": "a"}, session=session)
        outcomes = [await outcome(session.commit_transaction()) for _ in range(2)]
    return outcomes, await everything(other["c"])


@scenario
async def a_transaction_whose_session_is_killed_cannot_commit(database: Any, other: Any) -> Any:
    async with await open_session(database) as session:
        await begin_transaction(session)
        await database["c"].insert_one({"_id": "a"}, session=session)
        await end_sessions(other, [session.session_id["id"]])
        await other["c"].insert_one({"_id": "a", "by": "other"})
        outcomes = [await outcome(session.commit_transaction()), await outcome(session.commit_transaction())]
    return outcomes, await everything(other["c"])


@scenario
async def a_write_waits_for_the_transaction_that_holds_its_document(database: Any, other: Any) -> Any:
    await database["c"].insert_one({"_id": "a", "n": 0})
    async with transaction(database) as session:
        await database["c"].update_one({"_id": "a"}, {"$inc": {"n": 1}}, session=session)
        writing = asyncio.create_task(other["c"].update_one({"_id": "a"}, {"$inc": {"n": 10}}))
        await asyncio.wait({writing}, timeout=0.2)
        waits = not writing.done()
    await writing
    return waits, await everything(other["c"])


@scenario
async def a_snapshot_session_reads_one_moment(database: Any, other: Any) -> Any:
    await database["c"].insert_one({"_id": "a"})
    async with snapshot_session(database) as session:
        first = await everything(database["c"], session=session)
        await other["c"].insert_one({"_id": "b"})
        await other["c"].delete_one({"_id": "a"})
        again = await everything(database["c"], session=session)
    return first, again, await everything(database["c"])


@scenario
async def a_later_claim_fences_off_the_earlier_owner(database: Any, other: Any) -> Any:
    first, second = Ownership(database, "s", "c"), Ownership(other, "s", "c")
    await first.claim([0, 1])

    async def write(ownership: Ownership, in_database: Any, key: str, after: Callable[[], Awaitable[object]]) -> Any:
        async with transaction(in_database) as session:
            fences = await ownership.fence(session, [0])
            await in_database["d"].insert_one({"_id": key}, session=session)
            await after()
            written = await in_database["c"].bulk_write(fences, session=session)
            if written.matched_count != len(fences):
                raise LookupError

    async def nothing() -> None:
        """Do nothing in between."""

    outcomes = [
        await outcome(write(first, database, "first", nothing)),
        await outcome(write(first, database, "overtaken", lambda: second.claim([0]))),
        await outcome(write(first, database, "late", nothing)),
        await outcome(first.check([0])),
        await outcome(first.check([1])),
        await outcome(write(second, other, "second", nothing)),
    ]
    return outcomes, second.epoch(0) > first.epoch(0), await everything(database["d"])
