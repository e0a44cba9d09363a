"""Queries and pipelines: filters, order, fields, raw batches."""

from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING

from tests.support.simulation.scenarios.base import AT, everything, scenario
from triptych.kit.mongo.driver import aggregate, find_raw


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
