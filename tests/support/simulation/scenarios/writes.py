"""Writes of one document and of many, and unique indexes."""

from typing import Any

from pymongo import DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne

from tests.support.simulation.scenarios.base import AT, everything, outcome, scenario
from triptych.kit.mongo.driver import snapshot_session
from triptych.kit.mongo.transactions import transaction


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
