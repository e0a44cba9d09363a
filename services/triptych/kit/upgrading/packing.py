"""Packs free-form values that were stored as plain objects, one page of a collection at a time (`kit.mongo.opaque`)."""

from collections.abc import Sequence

from triptych.kit.mongo.driver import ASCENDING, Collection, UpdateOne
from triptych.kit.mongo.opaque import FieldPath, pack, unpack
from triptych.kit.upgrading.migrations import Step

PAGE = 200
"""Documents of one step. The values of all of them are in memory at the same time."""


async def pack_page(
    collection: Collection, member: str, paths: Sequence[FieldPath], after: str | None, size: int = PAGE
) -> Step:
    """Pack the plain values at `paths` of `member` in the documents whose ids follow `after`, in order.

    A value that a service packs or replaces meanwhile is left as it is. Raises the driver's errors.
    """
    first = {"$gt": after or ""}
    page = await collection.find({"_id": first}, {"_id": 1}).sort("_id", ASCENDING).limit(size).to_list(None)
    if not page:
        return Step(None, 0)
    last = page[-1]["_id"]
    fields = [f"{member}.{outer}.{inner}" for outer, inner in paths]
    is_plain = [{field: {"$exists": True, "$not": {"$type": "binData"}}} for field in fields]
    found = collection.find({"_id": {**first, "$lte": last}, "$or": is_plain}, dict.fromkeys(fields, 1))
    writes = []
    async for document in found:
        packed = pack(unpack(document[member], paths), paths)
        for (outer, inner), plain in zip(paths, is_plain, strict=True):
            if inner in packed.get(outer, {}):
                value = {f"{member}.{outer}.{inner}": packed[outer][inner]}
                writes.append(UpdateOne({"_id": document["_id"], **plain}, {"$set": value}))
    if writes:
        await collection.bulk_write(writes, ordered=False)
    return Step(last if len(page) == size else None, len(page))
