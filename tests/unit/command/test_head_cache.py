"""The cache of heads has the last written heads, and nothing else."""

from typing import Any

import pytest

from tests.support.commands import TEXT
from triptych.command.domain.state import GalleryHead
from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord, UnitOfWork
from triptych.command.store.head_cache import HeadCache
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import COMMANDS

GALLERIES = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(1, 5)]


def head(gallery_id: str, sequence: int = 1, job: str | None = None) -> GalleryHead:
    return GalleryHead(gallery_id, "site", None, 1.0, "2026-01-01T00:00:00Z", 0, sequence, 0.0, 0.0, job=job)


def command(gallery_id: str, name: str = "CreateItems", data: dict[str, Any] | None = None) -> ReceivedCommand:
    model = COMMANDS[name].model_validate({"galleryId": gallery_id, **({"items": [TEXT]} if data is None else data)})
    envelope = CommandEnvelope("c", "site", name, model, None, "c", None)
    return ReceivedCommand(0, gallery_id, envelope, ReceivedRecord("commands", 0, 0, None, b"", ()))


def written(*heads: GalleryHead) -> UnitOfWork:
    return UnitOfWork(heads={head.gallery_id: head for head in heads})


def cached(head_cache: HeadCache, commands: list[ReceivedCommand]) -> GalleryHead | None:
    """The cached head of the only gallery of these commands."""
    return next(iter(head_cache.heads_for(commands) or ()), None)


def test_the_last_written_head_is_cached_until_the_cache_is_cleared() -> None:
    head_cache, gallery_id = HeadCache(), GALLERIES[0]
    assert cached(head_cache, [command(gallery_id)]) is None
    for sequence in (1, 2):
        head_cache.keep(written(head(gallery_id, sequence)))
        assert cached(head_cache, [command(gallery_id)]) == head(gallery_id, sequence)
    assert cached(head_cache, [command(GALLERIES[1])]) is None
    head_cache.clear()
    assert cached(head_cache, [command(gallery_id)]) is None


def test_a_gallery_that_was_only_read_is_not_cached() -> None:
    head_cache, unit = HeadCache(), UnitOfWork()
    unit.load_head(head(GALLERIES[0]))
    unit.heads[GALLERIES[1]] = None
    head_cache.keep(unit)
    assert [cached(head_cache, [command(gallery_id)]) for gallery_id in GALLERIES[:2]] == [None, None]


def test_the_least_recently_written_gallery_is_dropped() -> None:
    head_cache = HeadCache(heads_max=2)
    for gallery_id in (GALLERIES[0], GALLERIES[1], GALLERIES[0], GALLERIES[2]):
        head_cache.keep(written(head(gallery_id)))
    known = [gallery_id for gallery_id in GALLERIES if cached(head_cache, [command(gallery_id)])]
    assert known == [GALLERIES[0], GALLERIES[2]]


def test_commands_of_several_galleries_need_all_heads() -> None:
    head_cache = HeadCache()
    heads = [head(gallery_id) for gallery_id in GALLERIES[:2]]
    head_cache.keep(written(*heads))
    update = command(GALLERIES[0], "UpdateItem", {"itemId": GALLERIES[3], "item": {"title": "t"}})
    commands = [command(GALLERIES[0]), command(GALLERIES[1], "ClearGallery", {}), update]
    assert list(head_cache.heads_for(commands) or ()) == heads
    assert head_cache.heads_for([*commands, command(GALLERIES[2])]) is None


@pytest.mark.parametrize("data", [{}, {"cloneFromGalleryId": GALLERIES[1]}])
def test_a_creation_is_looked_up(data: dict[str, Any]) -> None:
    head_cache = HeadCache()
    head_cache.keep(written(*map(head, GALLERIES)))
    assert head_cache.heads_for([command(GALLERIES[0], "CreateGallery", data)]) is None


def test_a_gallery_with_a_job_is_looked_up() -> None:
    head_cache = HeadCache()
    head_cache.keep(written(head(GALLERIES[0], job="site/other")))
    assert cached(head_cache, [command(GALLERIES[0])]) is None
