"""Proves that the joined topic is what the write model is, gallery by gallery, while both go on changing."""

import asyncio
from collections.abc import Iterator

from triptych.kit.mongo.driver import Database
from triptych.projector.rebuild.digests import Source
from triptych.projector.rebuild.join_copy import JoinedCopy
from triptych.projector.rebuild.verification import LOOKS, PAUSE_SECONDS, Difference, Tell, is_moving, unequal

# When so many galleries differ, the topic has lost something: few looks tell, and each takes long.
MANY = 1_000
LOOKS_AT_MANY = 3
# A gallery that never stands still cannot be compared; that the topic keeps up with it is enough.
LOOKS_AT_MOVING = 3


async def compare_join(database: Database, copy: JoinedCopy, tell: Tell) -> None:
    """Find the galleries that the topic has otherwise than the write model.

    Afterwards they are the suspects of `copy`.

    A gallery counts only if the topic does not come to where the write model was when it was first seen.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    written = Source(database)
    total, done = await written.count(), 0
    async for ids in written.ids():
        copy.suspect(unequal(ids, await written.digests(ids), copy.digests(ids)))
        done += len(ids)
        tell(done, max(done, total))
    for ids in copy.ids():
        copy.suspect(dict.fromkeys(set(ids) - await written.known(ids), 0))

    for look in range(LOOKS):
        is_last = look + 1 >= (LOOKS_AT_MANY if copy.count_suspects() > MANY else LOOKS)
        await copy.read(lambda *_: None)
        for suspects in _parts(copy):
            digests = await written.digests(suspects), copy.digests(suspects)
            still = unequal(suspects, *digests)
            if look + 1 >= LOOKS_AT_MOVING:
                found = (Difference(id_, digests[0].get(id_), digests[1].get(id_)) for id_ in still)
                still = {one.gallery_id: 0 for one in found if not is_moving(one, suspects[one.gallery_id])}
            copy.clear(suspects.keys() - still.keys())
        if is_last or not copy.count_suspects():
            return
        await asyncio.sleep(PAUSE_SECONDS)


async def differences(database: Database, copy: JoinedCopy, count: int) -> list[Difference]:
    """The first suspects, with what both have of them now."""
    suspects = copy.suspects(count=count)
    written, joined = await Source(database).digests(suspects), copy.digests(suspects)
    return [Difference(id_, written.get(id_), joined.get(id_), "joined topic") for id_ in suspects]


def _parts(copy: JoinedCopy) -> Iterator[dict[str, int]]:
    last = ""
    while part := copy.suspects(last):
        yield part
        last = max(part)
