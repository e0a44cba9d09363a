"""Compares the joined topic with the write model, gallery by gallery, while both change."""

import asyncio

from triptych.kit.mongo.driver import Database
from triptych.projector.rebuild.digests import GalleryStore
from triptych.projector.rebuild.join_copy import JoinedCopy
from triptych.projector.rebuild.verification import (
    PAUSE_SECONDS,
    ROUNDS,
    Difference,
    ReportProgress,
    is_moving,
    unequal,
)

# When more galleries than this differ, the topic has lost records. A few rounds show that, and each round takes long.
MANY_SUSPECTS = 1_000
ROUNDS_FOR_MANY = 3
# A gallery that changes all the time cannot be compared. From this round on, the topic only has to keep up with it.
ROUNDS_BEFORE_MOVING = 3


async def compare_join(database: Database, copy: JoinedCopy, report: ReportProgress) -> None:
    """Find the galleries that differ between the topic and the write model. Afterwards they are the suspects of `copy`.

    A gallery differs only if the topic does not reach the sequence that the write model had in the first comparison.

    Raises:
        StartRefused, TransientFailure: Kafka does not answer.
    """
    written = GalleryStore(database)
    total, done = await written.count(), 0
    async for ids in written.ids():
        copy.suspect(unequal(ids, await written.digests(ids), copy.digests(ids)))
        done += len(ids)
        report(done, max(done, total))
    for ids in copy.ids():
        copy.suspect(dict.fromkeys(set(ids) - await written.known(ids), 0))

    for comparison in range(1, ROUNDS + 1):
        is_last = comparison >= (ROUNDS_FOR_MANY if copy.count_suspects() > MANY_SUSPECTS else ROUNDS)
        await copy.read(lambda *_: None)
        for suspects in copy.all_suspects():
            in_model, in_topic = await written.digests(suspects), copy.digests(suspects)
            still = unequal(suspects, in_model, in_topic)
            if comparison >= ROUNDS_BEFORE_MOVING:
                found = (Difference(id_, in_model.get(id_), in_topic.get(id_)) for id_ in still)
                still = {one.gallery_id: 0 for one in found if not is_moving(one, suspects[one.gallery_id])}
            copy.clear(suspects.keys() - still.keys())
        if is_last or not copy.count_suspects():
            return
        await asyncio.sleep(PAUSE_SECONDS)


async def differences(database: Database, copy: JoinedCopy, count: int) -> list[Difference]:
    """The first `count` suspects, with their present digests in the write model and in the topic."""
    suspects = copy.suspects(count=count)
    written, joined = await GalleryStore(database).digests(suspects), copy.digests(suspects)
    return [Difference(id_, written.get(id_), joined.get(id_), "joined topic") for id_ in suspects]
