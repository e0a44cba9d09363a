"""What MongoDB does for the simulated services, as scenarios that run on the model and on a real server alike.

A scenario gets two clients' views of one empty database, and returns what it has seen. The results have to be equal.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from pymongo import ASCENDING, DESCENDING, DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import PyMongoError

from triptych.kit.mongo.driver import aggregate, begin_transaction, find_raw, open_session, snapshot_session
from triptych.kit.mongo.fencing import Ownership
from triptych.kit.mongo.transactions import end_sessions, transaction

Scenario: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
SCENARIOS: dict[str, Scenario] = {}
"""By name."""
AT = datetime(2025, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def scenario(function: Scenario) -> Scenario:
    """Name a scenario by its function."""
    SCENARIOS[function.__name__] = function
    return function


async def outcome(work: Awaitable[Any]) -> Any:
    """What the work has returned, or the kind of its error: class, code, labels, and codes of single writes."""
    try:
        done = await work
    except PyMongoError as error:
        details = getattr(error, "details", None) or {}
        labels = [one for one in ("TransientTransactionError",) if error.has_error_label(one)]
        writes = [(one["index"], one["code"]) for one in details.get("writeErrors", ())]
        return type(error).__name__, getattr(error, "code", None), labels, writes
    except Exception as error:  # noqa: BLE001 - of the product
        return type(error).__name__
    counts = ("matched_count", "modified_count", "deleted_count")
    return {name: getattr(done, name, None) for name in counts if isinstance(getattr(done, name, None), int)} or "done"


async def everything(collection: Any, **options: Any) -> list[Any]:
    """All documents by id."""
    found: list[Any] = await collection.find({}, **options).sort("_id", ASCENDING).to_list(None)
    return found


@scenario
async def filters_find(database: Any, _: Any) -> Any:
    documents = [
        {"_id": "a", "n": 1, "text": "x", "inner": {"n": 5}, "list": [1, 2], "at": AT},
        {"_id": "b", "n": 2.5, "text": None, "inner": {"n": "5"}, "list": [], "at": AT + timedelta(seconds=1)},
        {"_id": "c", "n": "1", "inner": {}, "data": b"x", "yes": True},
        {"_id": "d", "n": None, "text": "y", "list": [{"n": 1}], "yes": False},
        {"_id": {"scope": "s", "partition": 1}, "n": 7, "token": "t"},
    ]
    await database["c"].insert_many(documents)
    queries: list[dict[str, Any]] = [
        {},
        {"_id": "a"},
        {"_id": {"$in": ["b", "zz", "a"]}},
        {"_id": {"$gt": "a"}},
        {"_id": {"$type": "string"}},
        {"_id": {"scope": "s", "partition": 1}},
        {"_id": {"partition": 1, "scope": "s"}},
        {"n": 1},
        {"n": {"$gt": 0}},
        {"n": {"$gte": 1, "$lt": 3}},
        {"n": {"$lte": "1"}},
        {"n": {"$not": {"$gt": 1}}},
        {"n": {"$ne": 1}},
        {"n": {"$nin": [1, None]}},
        {"text": None},
        {"text": {"$exists": True}},
        {"text": {"$exists": False}},
        {"text": {"$in": [None, "y"]}},
        {"text": {"$regex": "^(?:x|z)"}},
        {"inner.n": 5},
        {"inner.n": {"$gt": 0}},
        {"list": 1},
        {"list.0": {"$exists": True}},
        {"at": {"$lte": AT}},
        {"yes": True},
        {"$or": [{"n": 7}, {"text": "x"}]},
        {"$expr": {"$gt": ["$n", 2]}},
        {"$expr": {"$gt": ["$at", "$$NOW"]}},
    ]
    found = [sorted(str(one["_id"]) for one in await database["c"].find(query).to_list(None)) for query in queries]
    return found, [await database["c"].count_documents(query, limit=2) for query in queries]


@scenario
async def results_are_sorted_and_have_the_wanted_fields(database: Any, _: Any) -> Any:
    collection = database["c"]
    await collection.insert_many(
        [
            {"_id": number, "s": order, "t": number % 2, "in": {"a": 1, "b": 2}}
            for number, order in enumerate([3.5, 1, 2.0])
        ]
    )
    return (
        await collection.find({}, {"s": 1}).sort("s", DESCENDING).limit(2).to_list(None),
        await collection.find({}).sort([("t", ASCENDING), ("s", DESCENDING)]).to_list(None),
        await collection.find({}, {"in": 0}).sort("_id").to_list(None),
        await collection.find({}, {"in.b": 1, "s": 1}).sort("_id").to_list(None),
        await collection.find_one({}, {"_id": 1}, sort=[("s", ASCENDING)]),
        [one async for one in collection.find({"_id": {"$gte": 1}}).sort("_id").batch_size(1)],
    )


@scenario
async def updates_change_documents(database: Any, _: Any) -> Any:
    collection = database["c"]
    await collection.insert_many([{"_id": "a", "n": 1, "list": [1], "in": {"x": 1}}, {"_id": "b", "n": 5}])
    push = {"$push": {"list": {"$each": [2, 3, 4], "$slice": -3}}}
    lease: list[Any] = [
        {
            "$set": {
                "n": {"$max": [{"$add": ["$n", 1]}, 3, "$missing"]},
                "owner": {"$cond": [{"$gt": ["$n", 2]}, "$n", "o"]},
            }
        }
    ]
    several = {"$set": {"in.y": 2}, "$unset": {"in.x": ""}, "$inc": {"n": 1, "m": 2}}
    new = {"$set": {"n": 1}, "$setOnInsert": {"o": 1}}
    outcomes = [
        await outcome(collection.update_one({"_id": "a"}, several)),
        await outcome(collection.update_one({"_id": "a"}, push)),
        await outcome(collection.update_one({"_id": "zz"}, {"$set": {"n": 1}})),
        await outcome(collection.update_one({"_id": "new", "k": None}, new, upsert=True)),
        await outcome(collection.update_many({"n": {"$gte": 1}}, {"$set": {"seen": True}})),
        await outcome(collection.update_many({"n": 5}, [{"$set": {"at": {"$ifNull": ["$at", AT]}}}])),
        await outcome(
            collection.bulk_write(
                [
                    ReplaceOne({"_id": "r"}, {"_id": "r", "v": 1}, upsert=True),
                    ReplaceOne({"_id": "a", "n": 99}, {"_id": "a"}),
                    UpdateOne({"_id": "b"}, {"$inc": {"n": 1}}),
                    DeleteOne({"_id": "none"}),
                    InsertOne({"_id": "i", "v": (1, 2)}),
                ],
                ordered=False,
            )
        ),
        await outcome(collection.delete_many({"_id": {"$in": ["i", "none"]}})),
    ]
    claimed = [
        await collection.find_one_and_update({"_id": key}, lease, upsert=True, return_document=True)
        for key in ("b", "p", "p")
    ]
    before = await collection.find_one_and_update({"_id": "b"}, {"$set": {"n": 0}})
    return outcomes, claimed, before, await everything(collection)


@scenario
async def arrays_of_objects_are_found_and_changed(database: Any, _: Any) -> Any:
    collection = database["c"]
    await collection.insert_many(
        [{"_id": "a"}, {"_id": "b", "list": [{"n": 3, "s": {"x": 1}}]}, {"_id": "c", "list": []}]
    )
    entry = {"n": 6, "s": {"of": "$list", "ends": {"$literal": {"$t": 1}}, "none": "$missing"}}
    append: list[Any] = [
        {"$set": {"list": {"$concatArrays": [{"$ifNull": ["$list", []]}, [entry]]}}},
        {"$unset": "gone"},
    ]
    outcomes = [
        await outcome(collection.update_many({"_id": {"$in": ["a", "b"]}}, append)),
        await outcome(collection.update_one({"_id": "b", "list.n": 6}, {"$set": {"list.$.s": {"y": 2}}})),
        await outcome(collection.update_one({"_id": "b", "list.n": 7}, {"$set": {"list.$.s": {"y": 3}}})),
        await outcome(collection.update_one({"_id": "c", "to.n": {"$in": [None, 4]}}, {"$set": {"to.n": 4}})),
        await outcome(collection.update_one({"_id": "c", "to.n": {"$in": [None, 5]}}, {"$set": {"to.n": 5}})),
    ]
    found = [sorted([one["_id"] async for one in collection.find({"list.n": number})]) for number in (3, 6, None)]
    return outcomes, found, await everything(collection)


@scenario
async def many_documents_are_found_by_what_they_have_now(database: Any, other: Any) -> Any:
    collection = database["c"]
    await collection.insert_many([{"_id": number, "g": number % 3, "t": [number % 2, "x"]} for number in range(30)])

    async def numbers(query: dict[str, Any], **options: Any) -> list[int]:
        return sorted([one["_id"] async for one in other["c"].find(query, {"_id": 1}, **options)])

    async with snapshot_session(other) as session:
        queries: list[dict[str, Any]] = [
            {"g": 1},
            {"g": {"$in": [0, 2]}, "t": 1},
            {"t": [0, "x"]},
            {"g": None},
            {"$and": [{"g": 2}, {"t": 0}]},
        ]
        before = [await numbers(query, session=session) for query in queries]
        await collection.update_many({"g": 1}, {"$set": {"g": 2}})
        await collection.delete_many({"_id": {"$lt": 10}})
        await collection.update_one({"_id": 20}, {"$unset": {"g": ""}})
        later = [await numbers(query, session=session) for query in queries]
    async with transaction(database) as session:
        await collection.update_one({"_id": 21}, {"$set": {"g": 1}}, session=session)
        await collection.insert_one({"_id": 40, "g": 1}, session=session)
        own = sorted([one["_id"] async for one in collection.find({"g": 1}, session=session)])
    return before, later, own, [await numbers(query) for query in queries]


@scenario
async def results_come_raw_and_in_part_and_collections_are_dropped(database: Any, _: Any) -> Any:
    collection = database["c"]
    await collection.insert_many(
        [{"_id": number, "s": float(-number), "item": {"t": "x" * number}} for number in range(5)]
    )
    raw = [
        batch async for batch in find_raw(collection, {"_id": {"$gte": 1}}, {"_id": 0, "item": 1}, [("s", DESCENDING)])
    ]
    part = await collection.find({}).sort("s", ASCENDING).skip(1).limit(2).to_list(None)
    await database["d"].insert_one({"_id": 1, "data": b"12345"})
    sizes = await aggregate(database["d"], [{"$match": {}}, {"$project": {"size": {"$binarySize": "$data"}}}])
    await database.drop_collection("c")
    return b"".join(raw), part, sizes, await everything(collection)


@scenario
async def pipelines_combine_collections(database: Any, _: Any) -> Any:
    await database["c"].insert_many([{"_id": "g1", "n": 1}, {"_id": "g2", "n": 2}])
    await database["d"].insert_many(
        [
            {"_id": number, "g": f"g{number % 2 + 1}", "s": float(-number), "item": {"t": "x" * number}}
            for number in range(6)
        ]
    )
    union = {"$unionWith": {"coll": "d", "pipeline": [{"$match": {"_id": {"$in": [4, 5]}}}]}}
    page: list[dict[str, Any]] = [
        {"$match": {"g": "g1", "s": {"$lte": 0.0}}},
        {"$sort": {"s": -1}},
        {"$limit": 2},
        {"$project": {"s": 1}},
        {"$set": {"pipeline": {"$literal": 0}}},
    ]
    lookup: dict[str, Any] = {
        "from": "d",
        "localField": "_id",
        "foreignField": "g",
        "pipeline": [{"$match": {"_id": {"$gt": 1}}}, {"$sort": {"_id": 1}}, {"$limit": 1}, {"$project": {"s": 1}}],
        "as": "due",
    }
    has_due = {"due.0": {"$exists": True}}
    sums = {"_id": "$g", "bytes": {"$sum": {"$bsonSize": "$item"}}, "least": {"$min": "$s"}}

    async def found(name: str, pipeline: list[dict[str, Any]]) -> list[Any]:
        results: list[Any] = await (await database[name].aggregate(pipeline)).to_list(None)
        return sorted(results, key=lambda one: str(one["_id"]))

    return [
        await found("c", [{"$match": {"_id": {"$in": ["g1"]}}}, union]),
        await found("d", page),
        await found(
            "c",
            [{"$match": {}}, {"$project": {"_id": 1}}, {"$lookup": lookup}, {"$match": has_due}],
        ),
        await found("d", [{"$match": {}}, {"$group": sums}]),
        await found("c", [{"$match": {"_id": "g2"}}, {"$set": {"late": {"$gt": ["$until", "$$NOW"]}}}]),
    ]


@scenario
async def unique_indexes_refuse_duplicates(database: Any, _: Any) -> Any:
    collection = database["c"]
    partial = {"s": {"$type": "double"}}
    await collection.create_indexes([IndexModel([("g", 1), ("s", 1)], unique=True, partialFilterExpression=partial)])
    first = [{"_id": "a", "g": 1, "s": 1.0}, {"_id": "b", "g": 1, "s": 2.0}, {"_id": "c", "g": 1}, {"_id": "d", "g": 1}]
    new = [{"_id": "e", "g": 1, "s": 1.0}, {"_id": "f", "g": 2, "s": 1.0}, {"_id": "a", "g": 3, "s": 1.0}]
    outcomes = [
        await outcome(collection.insert_many(first)),
        await outcome(collection.insert_many([dict(one) for one in new], ordered=False)),
        await outcome(collection.insert_many([{"_id": "h", "g": 1, "s": 1.0}, {"_id": "i", "g": 9, "s": 1.0}])),
        await outcome(collection.insert_one({"_id": "a"})),
        await outcome(collection.update_one({"_id": "b"}, {"$set": {"s": 1.0}})),
        await outcome(collection.update_one({"_id": "a", "g": 77}, {"$set": {"s": 5.0}}, upsert=True)),
        await outcome(collection.update_one({"_id": "b"}, {"$unset": {"s": ""}})),
        await outcome(collection.insert_one({"_id": "j", "g": 1, "s": 2.0})),
    ]
    return outcomes, await everything(collection)


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
