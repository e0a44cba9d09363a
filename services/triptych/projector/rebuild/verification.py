"""Proves that a version of the views is what the write model is, gallery by gallery, while both go on changing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from triptych.kit.mongo.driver import Database
from triptych.projector.rebuild.digests import Digest, Source

Tell = Callable[[int, int], None]
"""Hears of progress: done, total."""

# Galleries that change while they are looked at are looked at again, so often and after so long.
LOOKS = 20
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Difference:
    """A gallery that is not the same in both."""

    gallery_id: str
    written: Digest | None
    viewed: Digest | None
    where: str = "views"
    """What was compared with the write model."""

    def __str__(self) -> str:
        return (
            f"{self.gallery_id}: {_words(self.written)} in the write model, {_words(self.viewed)} in the {self.where}"
        )


@dataclass(slots=True)
class Comparison:
    """What was found.

    Attributes:
        differences: between the write model and the views.
        outdated: the galleries that were not the same in the former version of the views when it was looked at.
    """

    differences: list[Difference] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)


async def compare(database: Database, version: int, tell: Tell, former: int | None = None) -> Comparison:
    """Compare all galleries of the write model and a version of the views, by a hash of everything in them.

    A gallery counts as different only if the views do not come to where the write model was when it was first seen.

    Args:
        database: that has both.
        version: of the views.
        tell: hears of progress.
        former: another version, of which all is looked at once.
    """
    comparison = Comparison()
    written, viewed = Source(database), Source(database, version)
    sources = [written, viewed] + ([Source(database, former)] if former else [])
    total = max(await written.count(), await viewed.count())
    done = 0
    suspects: dict[str, int] = {}
    """Galleries to be looked at again, and the sequences that they must have reached then."""
    async for ids in written.ids():
        prints = await asyncio.gather(*(source.fingerprint(ids) for source in sources))
        if None in prints or len(set(prints)) > 1:
            digests = await asyncio.gather(*(source.digests(ids) for source in sources))
            suspects |= unequal(ids, *digests[:2])
            comparison.outdated += unequal(ids, *digests[1:]) if former else []
        done += len(ids)
        tell(done, max(total, done))
    async for ids in viewed.ids():
        suspects |= dict.fromkeys(set(ids) - await written.known(ids), 0)

    for _ in range(LOOKS):
        in_one, in_other = await asyncio.gather(written.digests(suspects), viewed.digests(suspects))
        again = unequal(suspects, in_one, in_other)
        suspects = {id_: suspects[id_] for id_ in again}
        if not suspects:
            return comparison
        await asyncio.sleep(PAUSE_SECONDS)
    in_one, in_other = await written.digests(suspects), await viewed.digests(suspects)
    differences = [Difference(id_, in_one.get(id_), in_other.get(id_)) for id_ in suspects]
    comparison.differences = [found for found in differences if not is_moving(found, suspects[found.gallery_id])]
    return comparison


def unequal(ids: Iterable[str], in_one: Mapping[str, Digest], in_other: Mapping[str, Digest]) -> dict[str, int]:
    """Those of these galleries that are not the same in both, with the sequences that the first has them at."""
    unequal = {}
    for gallery_id in ids:
        one = in_one.get(gallery_id)
        if not is_same(one, in_other.get(gallery_id)):
            unequal[gallery_id] = one.sequence if one else 0
    return unequal


def is_same(one: Digest | None, other: Digest | None) -> bool:
    """Whether two digests are of the same gallery at the same sequence, or both of none."""
    are_gone = (one is None or one.content is None) and (other is None or other.content is None)
    return one == other or are_gone


def is_moving(difference: Difference, reached: int) -> bool:
    """Whether the views, or the joined topic, keep up with a gallery that never stands still.

    If their parts contradict each other, they do not: that is told in words, in the place of a hash.
    """
    one, other = difference.written, difference.viewed
    if one is None or other is None or " " in (other.content or ""):
        return False
    return reached < other.sequence < one.sequence


def _words(digest: Digest | None) -> str:
    if digest is None:
        return "not there or changing"
    return f"at {digest.sequence}" + (" (deleted)" if digest.content is None else f" ({_short(digest.content)})")


def _short(content: str) -> str:
    return content if " " in content else content[:8]
