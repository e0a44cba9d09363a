"""Compares a version of the views with the write model, gallery by gallery, while both change."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from triptych.kit.mongo.driver import Database
from triptych.projector.rebuild.digests import Digest, GalleryStore

ReportProgress = Callable[[int, int], None]
"""Receives progress reports: the number done, and the total."""

# Galleries that differ or change are compared again, up to this many times, with this pause in between.
ROUNDS = 20
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Difference:
    """A gallery that differs from the write model."""

    gallery_id: str
    written: Digest | None
    viewed: Digest | None
    where: str = "views"
    """The store that was compared with the write model."""

    def __str__(self) -> str:
        return (
            f"{self.gallery_id}: {_words(self.written)} in the write model, {_words(self.viewed)} in the {self.where}"
        )


@dataclass(slots=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        differences: the galleries that differ between the write model and the views.
        outdated: the ids of galleries that differed between the former version of the views and this version.
    """

    differences: list[Difference] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)


async def compare(database: Database, version: int, report: ReportProgress, former: int | None = None) -> Comparison:
    """Compare all galleries of the write model and of a version of the views, by a hash of all their fields and items.

    A gallery differs only if the views do not reach the sequence that the write model had in the first comparison.

    Args:
        database: the database of both.
        version: the version of the views.
        report: receives progress reports.
        former: another version of the views; all its galleries are compared once with those of `version`.
    """
    comparison = Comparison()
    written, viewed = GalleryStore(database), GalleryStore(database, version)
    stores = [written, viewed] + ([GalleryStore(database, former)] if former else [])
    total = max(await written.count(), await viewed.count())
    done = 0
    suspects: dict[str, int] = {}
    """The galleries to compare again, with the sequences that they must reach."""
    async for ids in written.ids():
        hashes = await asyncio.gather(*(store.combined_hash(ids) for store in stores))
        if None in hashes or len(set(hashes)) > 1:
            digests = await asyncio.gather(*(store.digests(ids) for store in stores))
            suspects |= unequal(ids, *digests[:2])
            comparison.outdated += unequal(ids, *digests[1:]) if former else []
        done += len(ids)
        report(done, max(total, done))
    async for ids in viewed.ids():
        suspects |= dict.fromkeys(set(ids) - await written.known(ids), 0)

    for _ in range(ROUNDS):
        in_model, in_views = await asyncio.gather(written.digests(suspects), viewed.digests(suspects))
        suspects = {id_: suspects[id_] for id_ in unequal(suspects, in_model, in_views)}
        if not suspects:
            return comparison
        await asyncio.sleep(PAUSE_SECONDS)
    in_model, in_views = await written.digests(suspects), await viewed.digests(suspects)
    differences = [Difference(id_, in_model.get(id_), in_views.get(id_)) for id_ in suspects]
    comparison.differences = [found for found in differences if not is_moving(found, suspects[found.gallery_id])]
    return comparison


def unequal(ids: Iterable[str], in_one: Mapping[str, Digest], in_other: Mapping[str, Digest]) -> dict[str, int]:
    """The galleries that differ, with the sequence of each in the first store (0 if it is not there)."""
    unequal = {}
    for gallery_id in ids:
        one = in_one.get(gallery_id)
        if not is_same(one, in_other.get(gallery_id)):
            unequal[gallery_id] = one.sequence if one else 0
    return unequal


def is_same(one: Digest | None, other: Digest | None) -> bool:
    """Whether two digests have the same content and sequence, or neither has a gallery to show."""
    are_gone = (one is None or one.content is None) and (other is None or other.content is None)
    return one == other or are_gone


def is_moving(difference: Difference, reached: int) -> bool:
    """Whether the views, or the joined topic, keep up with a gallery that changes all the time.

    A gallery whose records contradict each other does not count. Its digest has words with spaces instead of a hash.
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
